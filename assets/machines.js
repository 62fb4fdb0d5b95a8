/* The machines page: one question at a time out, each answer patched into the cards by key.

   question -> answer -> cards; the first answer comes with the page. An answer brings the order and
   the cards that changed; everything that only time changes (ages, stale, unknown) is painted here
   every second, by the server's clock, so that a page whose server went away says so. A card that
   has the focus is never taken out of the page, and none moves while a finger is on them. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const PATH = "/dashboard/machines";
  const ALERTS = "/dashboard/alerts";
  const KINDS = ["failing", "deteriorating", "healthy", "unknown"];
  const SVG = "http://www.w3.org/2000/svg";
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const BACK_OFF = [1, 2, 4, 8, 10]; // seconds between tries while the server does not answer
  const MANY = 8; // from more machines on there is a search
  const FRESH_SECONDS = 5; // an answer comes every three
  const ELSEWHERE_SECONDS = 1; // between looks whether the page is open
  const CALM_MS = 30000; // between two orders that differ by scores alone
  const SETTLE_MS = 400; // after a finger was lifted, for its click

  const now = () => window.performance.now();
  const byId = (id) => document.getElementById(id);

  let live = fresh();
  let pressed = false;

  /** What is known of one opening of the page. */
  function fresh() {
    return {
      version: "",
      cards: new Map(), // by stream: what the server said, its nodes, what they show
      order: [],
      orderedAt: -Infinity, // when, and by which urgencies
      urgencies: "",
      whole: null, // total, fits
      serverAt: 0, // the server's clock, ms, at the last good answer
      seenAt: null, // and ours
      asked: null, // when the question under way was sent
      failures: 0, // tries in a row that the server did not answer
      retryAt: null,
      state: "", // the one that is shown alone
      search: "",
      hinted: "", // the newest machine that the hint is for
    };
  }

  /* ---- asking ---- */

  function question() {
    const known = {};
    for (const [id, card] of live.cards) known[id] = card.data.tag;
    return { version: live.version, known, ...dinsight.wall.question() };
  }

  function mayAsk() {
    if (document.hidden || !byId("machines-list")) return false;
    return live.asked === null || now() - live.asked > LOST_MS;
  }

  function askNow() {
    if (!mayAsk()) return;
    live.asked = now();
    dinsight.ask("machines-ask", "machines-feed", question()).then(reduce);
  }

  /** At the page's own beat; where the server does not answer, at that of the tries. */
  function beat() {
    const list = byId("machines-list");
    if (live.retryAt === null) askNow();
    window.setTimeout(beat, 1000 * (list ? Number(list.dataset.beat) : ELSEWHERE_SECONDS));
  }

  /* ---- answers ---- */

  function reduce(answer) {
    if (!answer || !byId("machines-list")) return;
    if ("failed" in answer) {
      failed();
      return;
    }
    if (answer.anew) open();
    live.asked = null;
    live.failures = 0;
    live.retryAt = null;
    live.seenAt = now();
    live.serverAt = Date.parse(answer.now);
    live.version = answer.version;
    if (answer.order) take(answer);
    if (answer.program) dinsight.kiosk.heard({ status: { version: answer.program } });
    paint();
    if (answer.anew && dinsight.wall.on()) askNow(); // for what a wall shows in addition
  }

  function failed() {
    const seconds = BACK_OFF[Math.min(live.failures, BACK_OFF.length - 1)];
    const opening = live;
    live.asked = null;
    live.failures += 1;
    live.retryAt = now() + seconds * 1000;
    window.setTimeout(() => opening === live && askNow(), seconds * 1000);
    paint();
  }

  /** The page was opened: its cards are not made yet, and its address says what is shown. */
  function open() {
    live = fresh();
    const query = new URLSearchParams(window.location.search);
    live.state = KINDS.includes(query.get("state")) ? query.get("state") : "";
    live.search = query.get("q") || "";
    byId("machines-list").replaceChildren();
    dinsight.wall.open();
    if (dinsight.wall.screen()) [live.state, live.search] = ["", ""]; // it leaves nothing out
    if (live.search) dinsight.give("machines-search", { value: live.search });
  }

  function take(answer) {
    for (const data of answer.cards) {
      const card = live.cards.get(data.id) || { ...build(), painted: {}, word: null };
      live.cards.set(data.id, { ...card, data });
    }
    const order = answer.order.filter((id) => live.cards.has(id));
    const whole = dinsight.wall.take(answer) && order.length === answer.order.length;
    if (!whole) live.version = ""; // ask for what is missing
    for (const id of [...live.cards.keys()]) {
      if (order.includes(id)) continue;
      live.cards.get(id).item.remove();
      live.cards.delete(id);
    }
    dinsight.wall.keep(live.cards);
    live.whole = answer;
    follow(order);
  }

  /** Take over the order: at once where a machine's state changed, where only scores did calmly. */
  function follow(order) {
    const urgencies = order.map((id) => `${id}:${live.cards.get(id).data.urgency}`).sort().join();
    if (urgencies === live.urgencies && now() - live.orderedAt < CALM_MS) return;
    live.urgencies = urgencies;
    live.orderedAt = now();
    live.order = order;
    arrange();
  }

  /* ---- cards ---- */

  function make(tag, className, ...children) {
    const node = document.createElement(tag);
    node.className = className;
    node.append(...children);
    return node;
  }

  function build() {
    const nodes = {
      link: make("a", "machine-link"),
      stream: make("span", "machine-stream"),
      owner: make("p", "machine-owner"),
      state: make("span", "state"),
      heard: make("span", "machine-heard"),
      score: make("span", "machine-score"),
      badge: make("span", "badge"),
      age: make("span", "machine-age"),
      rate: make("span", "machine-rate"),
      alerts: make("a", "machine-alerts"),
    };
    const { svg, path } = spark();
    const item = make("li", "machine-card",
      make("div", "machine-top",
        make("h2", "machine-name", nodes.link, nodes.stream), nodes.state),
      nodes.owner,
      make("p", "machine-line", nodes.score, nodes.heard, nodes.alerts),
      svg,
      make("p", "machine-foot", nodes.badge, nodes.age, nodes.rate));
    return { item, nodes, svg, path };
  }

  function spark() {
    const svg = document.createElementNS(SVG, "svg");
    const limit = document.createElementNS(SVG, "path");
    const path = document.createElementNS(SVG, "path");
    svg.setAttribute("class", "spark");
    svg.setAttribute("viewBox", "0 0 99 80");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    limit.setAttribute("class", "spark-limit");
    limit.setAttribute("d", "M0 32H99");
    path.setAttribute("class", "spark-line");
    svg.append(limit, path);
    return { svg, path };
  }

  /** Change what has changed, and nothing else. */
  function put(card, key, value, change) {
    if (card.painted[key] === value) return;
    card.painted[key] = value;
    change(value);
  }

  function text(card, name, words) {
    put(card, name, words, () => {
      card.nodes[name].textContent = words;
      card.nodes[name].hidden = !words;
    });
  }

  function address({ baseline_id: id, stream }) {
    return dinsight.browser.PATH + dinsight.browser.search({ baseline_id: id, stream });
  }

  function alertsOf({ baseline_id: id, stream }) {
    return `${ALERTS}?${new URLSearchParams({ baseline_id: id, stream })}`;
  }

  /** Where a link of a card leads; on a wall screen nowhere. */
  function lead(card, name, address) {
    const href = dinsight.wall.screen() ? "" : address;
    put(card, `${name}-href`, href, () => {
      if (href) card.nodes[name].setAttribute("href", href);
      else card.nodes[name].removeAttribute("href");
    });
  }

  function age(data) {
    if (!data.last_update) return null;
    return Math.max(0, (live.serverAt - Date.parse(data.last_update) + now() - live.seenAt) / 1000);
  }

  function dress(card) {
    const { data, nodes } = card;
    const seconds = age(data);
    const machine = dinsight.words.machine(data, seconds, (now() - live.seenAt) / 1000);
    const since = dinsight.words.since(data.level_since, new Date());
    card.kind = machine.kind;
    lead(card, "link", address(data));
    lead(card, "alerts", alertsOf(data));
    dinsight.wall.card(card);
    text(card, "link", data.name);
    text(card, "stream", data.stream === "default" ? "" : data.stream);
    text(card, "owner", data.owner);
    text(card, "state", machine.word);
    put(card, "kind", machine.kind, (kind) => {
      nodes.state.className = `state state-${kind}`;
      card.item.className = `machine-card machine-${kind}`;
    });
    text(card, "heard", machine.word === "Unknown" ? machine.heard : since);
    text(card, "score", dinsight.words.score(data.share));
    put(card, "path", data.trend.path, (d) => card.path.setAttribute("d", d));
    put(card, "words", data.trend.words, (words) => card.svg.setAttribute("aria-label", words));
    const badge = badgeOf(data, seconds);
    text(card, "badge", badge.text);
    put(card, "badge-kind", badge.kind, () => {
      nodes.badge.className = `badge badge-${badge.kind}`;
    });
    text(card, "age", seconds === null ? "no point yet" : dinsight.words.ago(seconds));
    text(card, "alerts", dinsight.words.alerts(data.alerts));
    put(card, "severity", data.alerts.severity, (severity) => {
      nodes.alerts.className = `machine-alerts severity severity-${severity}`;
    });
    text(card, "rate", data.is_active ? dinsight.words.rate(data.rate) : "");
    tell(card, machine.word);
  }

  /** How the points come, in one word; none is live while the server does not answer. */
  function badgeOf(data, seconds) {
    const badge = dinsight.words.badge({
      status: data, retryIn: null, age: seconds, auto: true, seen: 0, push: true,
    });
    const moving = badge.kind === "live" || badge.kind === "stale";
    if (live.retryAt !== null && moving) return { text: "Not refreshing", kind: "wait" };
    return badge.kind === "stale" ? { ...badge, text: "Stale" } : badge;
  }

  /** Say it once where a machine has become worse. */
  function tell(card, word) {
    const bad = ["Failing", "Deteriorating"];
    const worse = bad.includes(word) && card.word !== null && card.word !== word;
    if (worse) dinsight.put("machines-announce", { text: `${card.data.name}: ${word}` });
    card.word = word;
  }

  /** Bring the cards into order. The one with the focus stays, the others move around it. */
  function arrange() {
    const list = byId("machines-list");
    if (!list || pressed) return;
    const kept = list.contains(document.activeElement) && document.activeElement.closest("li");
    let next = list.firstElementChild;
    for (const id of live.order) {
      const { item } = live.cards.get(id);
      if (item === kept) {
        while (next !== kept) {
          const later = next;
          next = next.nextElementSibling;
          list.append(later);
        }
      }
      if (item === next) next = next.nextElementSibling;
      else list.insertBefore(item, next);
    }
  }

  /* ---- painting ---- */

  function paint() {
    if (!byId("machines-list") || live.seenAt === null || document.hidden) return;
    const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
    const hidden = { ...counts };
    const room = dinsight.wall.room(live.order, live.cards);
    let shown = 0;
    for (const id of live.order) {
      const card = live.cards.get(id);
      dress(card);
      counts[card.kind] += 1;
      const fits = matches(card) && shown < room;
      card.item.hidden = !fits;
      if (fits) shown += 1;
      else hidden[card.kind] += 1;
    }
    paintBadge();
    paintSummary(counts);
    paintNotes(shown);
    paintHint();
    paintTitle(counts);
    dinsight.wall.paint({ shown, total: live.whole.total, counts, hidden });
  }

  function matches({ data, kind }) {
    if (live.state && kind !== live.state) return false;
    const words = live.search.toLowerCase().split(/\s+/).filter(Boolean);
    const named = `${data.name} ${data.stream} ${data.owner}`.toLowerCase();
    return words.every((word) => named.includes(word));
  }

  function paintBadge() {
    const seconds = (now() - live.seenAt) / 1000;
    const seen = seconds < FRESH_SECONDS ? "just now" : dinsight.words.ago(seconds);
    const retryIn = live.retryAt === null ? null : Math.max(0, (live.retryAt - now()) / 1000);
    const badge = retryIn === null
      ? { text: `Updated ${seen}`, kind: "live" }
      : dinsight.words.badge({ retryIn });
    dinsight.put("machines-badge", { text: badge.text, className: `badge badge-${badge.kind}` });
  }

  function paintSummary(counts) {
    for (const kind of KINDS) {
      const some = counts[kind] ? "" : " chip-none";
      dinsight.put(`machines-${kind}-count`, { text: String(counts[kind]) });
      dinsight.put(`machines-${kind}`, {
        className: `chip state-${kind}${some}`, "aria-pressed": String(live.state === kind),
      });
    }
    dinsight.put("machines-summary", { hidden: !live.order.length });
    dinsight.put("machines-all", { hidden: !live.state && !live.search });
    dinsight.put("machines-search-field", { hidden: live.order.length <= MANY && !live.search });
  }

  function paintNotes(shown) {
    const { whole, order } = live;
    const number = (n) => dinsight.words.whole.format(n);
    let note = "";
    if (order.length && !shown) note = "No machine is like that at present.";
    else if (whole.total > order.length) {
      note = `Showing the worst ${number(order.length)} of ${number(whole.total)} machines.`;
    }
    dinsight.put("machines-note", { text: note, hidden: !note });
    const { fitting, failed: broken } = whole.fits;
    const fits = [];
    if (fitting) fits.push(`${plural(fitting, "baseline is", "baselines are")} being fitted.`);
    if (broken) fits.push(`${plural(broken, "baseline", "baselines")} could not be fitted.`);
    dinsight.put("machines-fits", { text: fits.join(" ") });
    dinsight.put("machines-fits-field", { hidden: !fits.length });
    dinsight.put("machines-none", { hidden: Boolean(order.length || fits.length) });
  }

  function plural(n, one, many) {
    return `${dinsight.words.whole.format(n)} ${n === 1 ? one : many}`;
  }

  /** Where no machine has ever sent a point: how to send one. */
  function paintHint() {
    const place = byId("machines-hint");
    const quiet = live.order.every((id) => !live.cards.get(id).data.last_update);
    const newest = quiet && live.order.length
      ? Math.max(...live.order.map((id) => live.cards.get(id).data.baseline_id)) : null;
    if (live.hinted === newest) return;
    live.hinted = newest;
    place.replaceChildren(...(newest === null ? [] : [hint(newest)]));
  }

  function hint(baselineId) {
    const line = `python -m simulator --baseline-id ${baselineId}`;
    const copy = make("button", "icon-button copy-button", make("span", "sr-only", "Copy the command"));
    copy.type = "button";
    copy.title = "Copy";
    copy.dataset.copy = line;
    return make("div", "notice",
      make("h2", "", "Waiting for points"),
      make("p", "", "Stream to a machine, for instance with the simulator:"),
      make("div", "command", make("code", "", line), copy));
  }

  function paintTitle(counts) {
    const worst = ["failing", "deteriorating"].find((kind) => counts[kind]);
    const word = { failing: "Failing", deteriorating: "Deteriorating" }[worst];
    dinsight.shell.entitle(PATH, [worst && `${counts[worst]} ${word}`, "Machines"]);
  }

  /* ---- what a person does ---- */

  function show(state, search) {
    live.state = state;
    live.search = search;
    const query = new URLSearchParams();
    if (state) query.set("state", state);
    if (search) query.set("q", search);
    dinsight.wall.name(query);
    const tail = query.size ? `?${query}` : "";
    window.history.replaceState(window.history.state, "", PATH + tail);
    paint();
  }

  /** A click opens the stream without loading the page anew; with a key held it is the browser's. */
  function visit(event, link) {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    dinsight.shell.visit(link.getAttribute("href"));
  }

  function view(name) {
    dinsight.wall.choose(name);
    show(live.state, live.search);
    askNow();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".machine-link[href], .machine-alerts[href]");
    if (link) visit(event, link);
    const choice = event.target.closest("[data-machines-view]");
    if (choice) view(choice.dataset.machinesView);
    const chip = event.target.closest("[data-machines-state]");
    if (!chip) return;
    const { machinesState: state } = chip.dataset;
    if (!state) dinsight.give("machines-search", { value: "" });
    show(state === live.state ? "" : state, state ? live.search : "");
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "machines-search") show(live.state, event.target.value);
  });
  document.addEventListener("pointerdown", (event) => {
    pressed = Boolean(event.target.closest("#machines-list"));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => window.setTimeout(() => {
      pressed = false;
      if (live.seenAt !== null) arrange();
    }, SETTLE_MS));
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      paint();
      askNow();
    }
  });
  window.setInterval(paint, 1000);
  beat();

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.machines = {
    first(answer) {
      reduce(answer);
      return window.dash_clientside.no_update;
    },
  };
})();
