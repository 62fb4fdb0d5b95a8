/* Normal and anomalous: the mode, what is drawn of it, the counts, and the areas of the map.

   What is inside an area the server says: with every point, as bits in its message (`inside`), and
   for all that is drawn whenever the areas are other ones (`areas_revision` of the status). */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const MODE_KEY = "dinsight.detect";
  const HIDDEN_KEY = "dinsight.areas.hidden";
  const TALLY_MS = 3000;
  const AGAIN_MS = 5000; // until the areas are asked for once more, where an answer was lost
  const AREA = "area:"; // what the names of our shapes begin with
  const LINE = "#0D9488"; // what both themes can show
  const CORNERS = ["x0", "x1", "y0", "y1"];
  const ROUND = ["x", "y", "rx", "ry", "angle"];
  const MODES = ["score", "areas"];
  const HINTS = {
    rectangle: "Drag on the map from corner to corner, or type the numbers.",
    ellipse: "Drag on the map (with Shift: a circle), or type the numbers.",
    lasso: "Draw around the points on the map.",
  };
  const ABOUT = {
    score: "Anomalous: points at the level warning or alarm.",
    areas: "Anomalous: points outside every normal area. It raises no alarm and mutes none.",
    none: "No normal area on this map yet: add one.",
  };

  let mode = "score";
  let view = null; // what the page shows; null while that is no map
  let known = null; // {revision, areas} of the map, as last told
  let tally = null;
  let tallyAt = -Infinity;
  let tallyTimer = 0;
  let askedAt = -Infinity; // for the areas
  let limit = null; // the alarm limit that the sensitivity was last told for
  let senses = 0;
  let sensed = ""; // the choice that holds
  let pending = null; // the id of the area that the dialog asks about
  let folded = false;

  const { put, read } = dinsight;
  const field = (name) => document.getElementById(`detect-${name}`);
  const plot = () => view && dinsight.map.ready(view.key);
  const applied = () => (known ? known.areas.filter((area) => area.applied) : []);

  /* ---- flags and colours ---- */

  /** The flags of a message, one a point, true inside an area; null where it brings none. */
  function flags(message) {
    if (!message.inside) return null;
    const bits = window.atob(message.inside);
    const bit = (i) => (bits.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1;
    return Array.from({ length: message.n ?? 8 * bits.length }, (_, i) => Boolean(bit(i)));
  }

  /** Whether a point is anomalous in the present mode; of it is known [seq, score, level, inside]. */
  function anomalous([, , level, inside]) {
    return mode === "score" ? level !== "healthy" : inside === false;
  }

  /** Colour what is drawn anew: the mode or the flags are other ones. */
  function remark(gd) {
    dinsight.map.judge(mode === "areas" ? ({ about }) => about.map((of) => Number(anomalous(of))) : null);
    const { colour } = dinsight.live.choices;
    if (colour === "normal") dinsight.map.colour(gd, colour);
    else if (mode === "areas" && colour === "plain") dinsight.live.choose("colour", "normal");
  }

  /** Give the drawn points the flags of an answer; those that came after it keep theirs. */
  function reflag(gd, answer) {
    const inside = flags(answer);
    for (const about of dinsight.map.live(gd).about) {
      const at = about[0] - answer.first;
      if (!inside) about[3] = null;
      else if (at >= 0 && at < inside.length) about[3] = inside[at];
    }
  }

  /* ---- asking ---- */

  function question(more) {
    const { key, baseline_id: id, stream, cap } = view;
    return { key, baseline_id: id, stream, limit: cap, ...more };
  }

  function askAreas() {
    const gd = plot();
    const { cursor } = dinsight.live.state();
    if (!gd || !cursor) return;
    const first = dinsight.map.first(gd);
    const after = `${cursor.epoch}:${first === null ? cursor.seq : first - 1}`;
    dinsight.ask("detect-ask", "detect-areas", question({ after })).then(told);
  }

  /** The counts are asked for when points came, at most every three seconds. */
  function wantTally(soon) {
    if (soon) tallyAt = -Infinity;
    if (soon) window.clearTimeout(tallyTimer);
    else if (tallyTimer) return;
    const wait = Math.max(0, tallyAt + TALLY_MS - window.performance.now());
    tallyTimer = window.setTimeout(() => {
      tallyTimer = 0;
      if (!view) return;
      tallyAt = window.performance.now();
      dinsight.ask("detect-tally-ask", "detect-tally", question({})).then(counted);
    }, wait);
  }

  /* ---- answers ---- */

  function told(answer) {
    const gd = plot();
    if (!answer || !gd || answer.key !== view.key) return;
    known = answer;
    const { cursor } = dinsight.live.state();
    if (cursor && cursor.epoch === answer.epoch) reflag(gd, answer);
    remark(gd);
    drawAreas(gd);
    list();
    wantTally(true);
    paint();
  }

  function counted(answer) {
    if (!answer || !view || answer.key !== view.key) return;
    tally = answer;
    paint();
  }

  function done(result) {
    if (!result) return;
    dinsight.shell.say(result.sentence);
    if (!view || result.key !== view.key) return;
    if (result.done && dinsight.draw.draft() && result.sentence.endsWith("saved.")) cancel();
    askAreas();
  }

  /* ---- what is shown ---- */

  function paint() {
    const counts = tally && tally[mode];
    const word = (name) => (counts ? dinsight.words.whole.format(counts[name]) : "–");
    put("detect-normal", { text: `${word("normal")} normal` });
    put("detect-anomalous", { text: `${word("anomalous")} anomalous` });
    const none = mode === "areas" && known && !applied().length;
    put("detect-about", { text: none ? ABOUT.none : ABOUT[mode] });
  }

  function drawAreas(gd) {
    const hides = hidden();
    const others = (gd.layout.shapes || []).filter(({ name }) => !String(name).startsWith(AREA));
    const ours = applied().filter(({ id }) => !hides.includes(id)).map(shapeOf);
    if (!ours.length && others.length === (gd.layout.shapes || []).length) return;
    window.Plotly.relayout(gd, { shapes: [...others, ...ours] });
  }

  /** An area as a shape of the plot, under the points, with its name. */
  function shapeOf({ id, name, kind, geometry }) {
    const points = dinsight.draw.outline(kind, geometry);
    return {
      name: AREA + id,
      type: "path",
      path: `M${points.map(([x, y]) => `${x},${y}`).join("L")}Z`,
      layer: "below",
      fillcolor: "rgba(13, 148, 136, 0.10)",
      fillrule: "evenodd",
      line: { color: LINE, width: 1.5 },
      label: {
        text: plain(name),
        textposition: "top left",
        font: { family: "IBM Plex Sans, system-ui, sans-serif", color: LINE, size: 12 },
        padding: 4,
      },
    };
  }

  /** A name without what the plot would read as markup. */
  function plain(name) {
    return name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function hidden() {
    const text = dinsight.shell.recall(HIDDEN_KEY) || "";
    return text.split(",").filter(Boolean).map(Number);
  }

  function toggle(id) {
    const before = hidden();
    const after = before.includes(id) ? before.filter((each) => each !== id) : [...before, id];
    dinsight.shell.remember(HIDDEN_KEY, after.slice(-200).join(","));
    const gd = plot();
    if (gd) drawAreas(gd);
    list();
  }

  /* ---- the list: its rows are made here, as they come and go with the areas ---- */

  function list() {
    const place = document.getElementById("detect-list");
    if (!place) return;
    if (place.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
    place.replaceChildren(...(known ? known.areas : []).map(row));
  }

  function row(area) {
    const made = document.createElement("div");
    made.className = area.applied ? "area" : "area area-old";
    const name = document.createElement("input");
    Object.assign(name, { className: "input", value: area.name, maxLength: 60, type: "text" });
    name.setAttribute("aria-label", "Name of the area");
    name.addEventListener("change", () => wish({ action: "rename", area_id: area.id, name: name.value }));
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") name.blur();
      if (event.key !== "Escape") return;
      event.stopPropagation();
      name.value = area.name;
      name.blur();
    });
    made.append(name);
    if (area.applied) {
      const shown = !hidden().includes(area.id);
      const eye = action(shown ? "Hide" : "Show", () => toggle(area.id));
      eye.setAttribute("aria-label", `${shown ? "Hide" : "Show"} ${area.name} on the map`);
      made.append(eye);
    }
    const gone = action("Delete", () => ask(area));
    gone.setAttribute("aria-label", `Delete ${area.name}`);
    made.append(gone);
    if (!area.applied) {
      const note = document.createElement("p");
      note.className = "hint";
      note.textContent = "Of an earlier map: it applies to nothing.";
      made.append(note);
    }
    return made;
  }

  function action(text, act) {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", className: "button small", textContent: text });
    made.addEventListener("click", act);
    return made;
  }

  function ask(area) {
    pending = area.id;
    put("detect-delete-text", {
      text: `${area.name} goes for everybody. Points and alarms stay as they are.`,
    });
    document.getElementById("detect-delete-dialog").showModal();
  }

  function remove() {
    if (pending !== null) wish({ action: "delete", area_id: pending });
    pending = null;
  }

  function wish(what) {
    if (view) dinsight.ask("detect-wish", "detect-done", question(what)).then(done);
  }

  /* ---- the editor: one draft at a time ---- */

  function begin(kind) {
    if (!plot()) return;
    const gd = plot();
    dinsight.draw.follow(gd);
    dinsight.draw.start(kind, view.map_id, drawn);
    put("detect-editor", { hidden: false });
    put("detect-editor-hint", { text: HINTS[kind] });
    put("detect-corners", { hidden: kind !== "rectangle" });
    put("detect-round", { hidden: kind !== "ellipse" });
    fill({});
    put("detect-name", { value: `Area ${(known ? known.areas.length : 0) + 1}` });
    pressed(kind);
    allow();
    if (kind !== "lasso") focusSoon(kind === "rectangle" ? "x0" : "x");
  }

  function focusSoon(name) {
    window.setTimeout(() => field(name) && field(name).focus({ preventScroll: true }), 50);
  }

  function drawn(draft) {
    fill(draft.geometry || {});
    allow();
    if (draft.geometry) focusSoon("name");
  }

  function fill(geometry) {
    for (const name of [...CORNERS, ...ROUND]) {
      put(`detect-${name}`, { value: name in geometry ? Number(geometry[name].toPrecision(5)) : "" });
    }
  }

  /** Numbers were typed: they are the draft now. */
  function typed() {
    const draft = dinsight.draw.draft();
    if (!draft || draft.kind === "lasso") return;
    const given = Object.fromEntries([...CORNERS, ...ROUND].map((name) => [name, read(field(name))]));
    dinsight.draw.put(draft.kind === "rectangle" ? rectangle(given) : ellipse(given));
    allow();
  }

  function rectangle({ x0, x1, y0, y1 }) {
    const all = [x0, x1, y0, y1].every((value) => value !== null);
    return all && x0 !== x1 && y0 !== y1 ? { x0, x1, y0, y1 } : null;
  }

  function ellipse({ x, y, rx, ry, angle }) {
    const all = [x, y, rx, ry].every((value) => value !== null);
    return all && rx > 0 && ry > 0 ? { x, y, rx, ry, angle: angle || 0 } : null;
  }

  const named = () => read(field("name")).trim();

  function allow() {
    const draft = dinsight.draw.draft();
    put("detect-save", { disabled: !(draft && draft.geometry && named()) });
  }

  function save() {
    const draft = dinsight.draw.draft();
    if (!draft || !draft.geometry || !named()) return;
    const { kind, geometry, mapId } = draft;
    wish({ action: "add", name: named(), kind, geometry, map_id: mapId });
  }

  function cancel() {
    dinsight.draw.stop();
    put("detect-editor", { hidden: true });
    pressed(null);
  }

  function pressed(kind) {
    for (const button of document.querySelectorAll("[data-draws]")) {
      button.setAttribute("aria-pressed", String(button.dataset.draws === kind));
    }
  }

  /* ---- the mode: of the address, else as it was, else by score ---- */

  function wanted() {
    const named = new URLSearchParams(window.location.search).get("detect");
    return [named, dinsight.shell.recall(MODE_KEY)].find((each) => MODES.includes(each)) || "score";
  }

  /** Name the mode in the address, and leave what else stands there. */
  function note() {
    const { pathname, search } = window.location;
    const query = new URLSearchParams(search);
    query.set("detect", mode);
    window.history.replaceState(window.history.state, "", `${pathname}?${query}`);
  }

  function choose(value) {
    if (!MODES.includes(value) || value === mode) return;
    mode = value;
    dinsight.shell.remember(MODE_KEY, value);
    note();
    const gd = plot();
    if (gd) remark(gd);
    paint();
  }

  /* ---- the page's events ---- */

  function opened({ view: next }) {
    const draft = dinsight.draw.draft();
    view = next.kind === "ready" && !next.display && !next.playback ? next : null;
    if (next.playback) dinsight.map.judge(null); // it is shown as it was judged
    known = null;
    askedAt = -Infinity;
    tally = null;
    limit = null;
    senses += 1; // an answer that is under way is of another stream
    dinsight.offer("detect-sensitivity", [], "");
    put("detect-sensitivity", { disabled: true });
    put("detect-cost", { text: "" });
    mode = wanted();
    put(`detect-mode-${mode}`, { checked: true });
    if (view && mode !== MODES[0]) note();
    list();
    paint();
    if (draft && view && draft.mapId !== view.map_id) {
      cancel();
      dinsight.shell.say("This is another map: draw the area again.");
    }
    const panel = document.getElementById("detect-panel");
    if (!folded && panel && window.matchMedia("(max-width: 640px)").matches) panel.open = false;
    folded = true;
  }

  function points({ points: added, anew }) {
    const gd = plot();
    if (!gd) return;
    if (anew) {
      dinsight.draw.follow(gd);
      dinsight.draw.render();
      askSoon();
    } else if (added.x.length) {
      wantTally(false);
    }
  }

  /** Once the reducer has moved its cursor on to what it just drew. */
  function askSoon() {
    askedAt = window.performance.now();
    window.setTimeout(askAreas, 0);
  }

  function heard({ status }) {
    const lost = !known && window.performance.now() - askedAt > AGAIN_MS;
    if (lost || (known && status.areas_revision !== known.revision)) askSoon();
    if (!view || limit === status.alarm_limit) return;
    limit = status.alarm_limit;
    sense();
  }

  /** What the sensitivity is and costs now; with a choice of the select it is set first. */
  async function sense(chosen = null) {
    if (!view) return;
    const turn = ++senses;
    const told = await dinsight.ask("detect-sense", "detect-sensed", question({ chosen }));
    if (turn !== senses) return;
    if (!told) {
      put("detect-sensitivity", { value: sensed }); // nothing was changed
      return;
    }
    const { options, value, text } = told;
    sensed = value;
    dinsight.offer("detect-sensitivity", options, value);
    put("detect-sensitivity", { disabled: !options.length });
    put("detect-cost", { text });
  }

  const hear = (what, act) => {
    document.addEventListener(`dinsight:${what}`, (event) => act(event.detail));
  };
  hear("opened", opened);
  hear("points", points);
  hear("status", heard);
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const { id, dataset: { draws: kind } } = button;
    if (id === "detect-save") save();
    else if (id === "detect-cancel") cancel();
    else if (id === "detect-delete-confirm") remove();
    if (!kind) return;
    const draft = dinsight.draw.draft();
    if (draft && draft.kind === kind && !draft.geometry) cancel();
    else begin(kind);
  });
  document.addEventListener("input", ({ target }) => {
    if (target.id === "detect-name") allow();
    else if (target.closest("#detect-editor")) typed();
  });
  document.addEventListener("change", ({ target }) => {
    if (target.name === "detect-mode") choose(target.value);
    else if (target.id === "detect-sensitivity") sense(target.value);
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Enter" && event.target.id === "detect-name") save();
      if (event.key !== "Escape" || !dinsight.draw.draft()) return;
      event.stopImmediatePropagation(); // it ends the draft and nothing else
      cancel();
    },
    true,
  );

  dinsight.detection = { flags, anomalous, mode: () => mode, sense };
})();
