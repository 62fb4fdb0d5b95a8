/* The wall of machines: the machines page with a small map on each card, `?view=wall`; and on a wall
   screen, `&kiosk=1`, as many cards as the screen holds, the worst, in tiles as large as they can be.

   machines.js makes, orders and paints the cards; what is asked in addition, and drawn, is here. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const byId = (id) => document.getElementById(id);
  const VIEWS = ["list", "wall"];
  const USUAL = 12; // machines of a wall screen
  const MOST = 40; // and where more than those are bad: they are read from nearby
  const BAD = 2; // urgencies up to this: failing, deteriorating, unknown but last seen bad
  const TILE = [15, 10]; // units of type that a tile is wide and high
  const WORDS = {
    failing: "Failing", deteriorating: "Deteriorating", healthy: "Healthy", unknown: "Unknown",
  };

  const grounds = new Map(); // what is drawn of a baseline, by map
  let chosen = "list";
  let drawn = ""; // how the tiles are arranged

  const on = () => chosen === "wall";
  const screen = () => on() && dinsight.kiosk.on();

  /* ---- the choice ---- */

  function key() {
    const who = byId("account-who");
    return `dinsight.machines ${who ? who.textContent : ""}`;
  }

  /** The page was opened: the address says how, else what was chosen before. */
  function open() {
    const named = new URLSearchParams(window.location.search).get("view");
    const kept = dinsight.shell.recall(key());
    chosen = [named, kept].find((view) => VIEWS.includes(view)) || "list";
    drawn = "";
    dress();
  }

  function choose(view) {
    chosen = view;
    if (!dinsight.kiosk.on()) dinsight.shell.remember(key(), view);
    dress();
  }

  function dress() {
    for (const view of VIEWS) {
      dinsight.put(`machines-view-${view}`, { "aria-pressed": String(view === chosen) });
    }
    dinsight.put("wall-screen", { hidden: !on() });
    const list = byId("machines-list");
    if (list) list.classList.toggle("machine-wall", on());
    document.documentElement.toggleAttribute("data-wall-screen", screen());
  }

  /** What the address says of it. */
  function name(query) {
    if (on()) query.set("view", "wall");
    if (dinsight.kiosk.on()) query.set("kiosk", "1");
  }

  /* ---- asking and answers ---- */

  function question() {
    return on() ? { wall: true, grounds: [...grounds.keys()] } : {};
  }

  /** Keep the grounds that came; whether every card has its map. */
  function take(answer) {
    for (const [map, text] of Object.entries(answer.grounds || {})) {
      grounds.set(Number(map), dinsight.minimap.pathOfGround(text));
    }
    return answer.cards.every((card) => card.tag);
  }

  /** Only of maps that a card has: a screen runs for months, and baselines are fitted anew. */
  function keep(cards) {
    const maps = new Set([...cards.values()].map(({ data }) => data.map && data.map.id));
    for (const map of grounds.keys()) {
      if (!maps.has(map)) grounds.delete(map);
    }
  }

  /* ---- the cards ---- */

  function card(each) {
    if (!on()) return;
    each.map = each.map || build(each.item);
    const { map } = each.data;
    paintOnce(each, "mapNote", map ? map.note : "", (note) => {
      each.map.note.textContent = note;
      each.map.note.hidden = !note;
      each.map.svg.toggleAttribute("hidden", Boolean(note));
    });
    if (!map || map.spots === null) return;
    paintOnce(each, "ground", grounds.get(map.id), (path) => dinsight.minimap.ground(each.map, path || ""));
    paintOnce(each, "spots", map.spots, (spots) => {
      dinsight.minimap.draw(each.map, dinsight.minimap.unpack(spots));
    });
  }

  function paintOnce({ painted }, what, value, change) {
    if (painted[what] === value) return;
    painted[what] = value;
    change(value);
  }

  function build(item) {
    const nodes = dinsight.minimap.build();
    const note = document.createElement("p");
    note.className = "minimap-note";
    note.hidden = true;
    item.querySelector(".machine-top").after(nodes.svg, note);
    return { ...nodes, note };
  }

  /* ---- a wall screen ---- */

  /** How many of these machines, the worst first, are shown: on a wall screen what it holds. */
  function room(order, cards) {
    if (!screen()) return Infinity;
    const bad = order.filter((id) => cards.get(id).data.urgency <= BAD).length;
    return Math.min(MOST, Math.max(USUAL, bad));
  }

  /** Columns and rows of `count` tiles that make them the largest, and their unit of type. */
  function tiles(count, width, height) {
    let best = { columns: 1, rows: 1, unit: 0 };
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const unit = Math.min(width / columns / TILE[0], height / rows / TILE[1]);
      if (unit > best.unit) best = { columns, rows, unit };
    }
    return best;
  }

  function arrange(count) {
    const list = byId("machines-list");
    const said = `${count} ${list.clientWidth} ${list.clientHeight}`;
    if (said === drawn || !count) return;
    drawn = said;
    const { columns, rows, unit } = tiles(count, list.clientWidth, list.clientHeight);
    list.style.setProperty("--columns", columns);
    list.style.setProperty("--rows", rows);
    list.style.setProperty("--unit", `${Math.floor(unit * 10) / 10}px`);
  }

  /** Once all cards are painted: what a wall screen says of those that it shows and of the others. */
  function paint({ shown, total, counts, hidden }) {
    if (!screen()) return;
    arrange(shown);
    for (const [state, count] of Object.entries(counts)) {
      dinsight.put(`wall-${state}`, { text: String(count) });
      byId(`wall-${state}`).parentElement.classList.toggle("wall-none", !count);
    }
    const bad = hidden.failing + hidden.deteriorating > 0;
    dinsight.put("wall-shown", {
      text: others(shown, total, hidden), className: bad ? "wall-shown wall-bad" : "wall-shown",
    });
    const badge = byId("machines-badge");
    dinsight.put("wall-badge", { text: badge.textContent, className: badge.className });
  }

  /** "Showing 12 of 30 · not shown: 10 Healthy, 8 Unknown"; empty where all are shown. */
  function others(shown, total, hidden) {
    if (shown >= total) return "";
    const whole = (count) => dinsight.words.whole.format(count);
    const rest = Object.keys(WORDS)
      .filter((state) => hidden[state])
      .map((state) => `${whole(hidden[state])} ${WORDS[state]}`);
    const tail = rest.length ? ` · not shown: ${rest.join(", ")}` : "";
    return `Showing ${whole(shown)} of ${whole(total)}${tail}`;
  }

  window.addEventListener("popstate", () => byId("machines-list") && dress());

  dinsight.wall = {
    on, screen, open, choose, name, question, take, keep, card, room, paint, tiles, others,
  };
})();
