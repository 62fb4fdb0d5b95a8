/* The live streaming page: one question at a time out, one reducer for every answer.

   want (what the address asks for) -> view (what the server opened) -> question -> answer -> drawn.
   With a socket open (live_socket.js) what is pushed is an answer like any other, and so is what a
   recording gives (live_playback.js): then nothing is asked, and a `snapshot` stands for all before.
   The cursor lives here and moves only when points are drawn, so nothing is missed or drawn twice:
   not when an answer is lost, not when the server was away, not when a tab has slept.

   What else follows the stream listens on `document`: `dinsight:opened` {view},
   `dinsight:points` {view, epoch, points, anew} once they are drawn, `dinsight:status`
   {view, status}; and `dinsight:select` {epoch, seq}, or null, for the point that is looked at. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const BACK_OFF = [1, 2, 4, 8, 10]; // seconds between tries while the server does not answer
  const CONTOUR_MS = 5000;
  const RESTED_MS = 400; // the same once a scrubber rests
  const SAID = 4; // columns that a label says until somebody chooses

  const now = () => window.performance.now();
  const skip = () => window.dash_clientside.no_update;

  const choices = {
    contours: true, size: 6, glow: 10, colour: "plain", follow: false, columns: null, auto: true,
    interval: 2,
  };
  let timer = 0; // of the next tick
  let live = fresh(null);

  /** What is known of one opening of the page. */
  function fresh(view) {
    return {
      view,
      choices,
      cursor: null, // {epoch, seq} of the last drawn point
      asked: null, // when the question under way was sent
      slightly: false, // whether it was asked of a paused view: its answer is no news of points
      waiting: null, // an answer that the plot is not ready for
      status: null,
      seenAt: null, // when the last good answer came
      pushedAt: null, // when the last one that was pushed came
      failures: 0, // tries in a row that the server did not answer
      retryAt: null,
      contourAt: -Infinity,
      contourTimer: 0,
      held: null, // while the view is paused: how many points are new; no drawing, no cursor
      counted: false, // whether what was before the window has come
      composed: null, // the answer that the figure came with, its points, the choices as it shows them
      columns: [], // names of metadata that were seen
    };
  }

  /* ---- asking ---- */

  function question() {
    const { view, cursor } = live;
    live.slightly = live.held !== null;
    return {
      key: view.key,
      baseline_id: view.baseline_id,
      stream: view.stream,
      after: cursor && `${cursor.epoch}:${cursor.seq}`,
      limit: live.slightly ? 1 : view.cap, // of a paused view only the status matters
      known: live.status && live.status.tag,
    };
  }

  function mayAsk() {
    if (!live.view || live.waiting || live.view.kind === "refused") return false;
    if (live.view.playback) return false;
    return live.asked === null || now() - live.asked > LOST_MS;
  }

  /** Ask, unless a question is under way. */
  function askNow() {
    if (!mayAsk() || !document.getElementById("live-map")) return;
    live.asked = now();
    dinsight.ask("live-ask", "live-feed", question()).then(reduce);
  }

  /** What nobody pushes is asked for at the page's own beat. */
  function tick() {
    beat();
    if (choices.auto && live.retryAt === null && !dinsight.socket.hears()) askNow();
  }

  function beat() {
    window.clearTimeout(timer);
    timer = window.setTimeout(tick, choices.interval * 1000);
  }

  function refresh() {
    if (live.view && live.view.kind === "refused") open();
    askNow();
  }

  /* ---- the reducer ---- */

  /** Take an answer in, whether it was polled, pushed, or made up for one that failed. */
  function reduce(answer) {
    if (!answer || !live.view) return;
    if ("failed" in answer) return failed();
    if (answer.key !== live.view.key) return; // to a question about what was shown before
    const late = !answer.pushed && live.pushedAt !== null && live.pushedAt >= live.asked;
    live.failures = 0;
    live.retryAt = null;
    live.seenAt = answer.seenAt ?? now();
    if (answer.pushed) live.pushedAt = now();
    else live.asked = null;
    if (late && answer.kind === "ready") return paint(); // what was pushed since is newer
    if (answer.kind !== live.view.kind) return open();
    if (answer.kind === "ready") answer.status = whole(answer.status);
    if (answer.kind === "ready" && answer.status.map_id !== live.view.map_id) return open();
    if (answer.kind === "ready") take(answer);
    else progress(answer);
    paint();
  }

  /** The status with what of it had not changed, and what follows from it. */
  function whole(news) {
    const status = { ...live.status, ...news };
    const { streamed_points: streamed, total_points: total } = status;
    const percent = total && Math.min(100, Math.round((1e4 * streamed) / total) / 100);
    return { ...status, last_seq: streamed, progress_percentage: total ? percent : null };
  }

  function failed() {
    const { view } = live;
    live.asked = null;
    backOff(() => view === live.view && askNow());
  }

  /** Try again after a while that grows with every failure. */
  function backOff(again) {
    const seconds = BACK_OFF[Math.min(live.failures, BACK_OFF.length - 1)];
    live.failures += 1;
    live.retryAt = now() + seconds * 1000;
    window.setTimeout(again, seconds * 1000);
    paint();
  }

  function take(answer) {
    const { view } = live;
    const gd = dinsight.map.ready(view.key);
    if (!gd) {
      live.waiting = answer;
      dinsight.open.drawn(view, () => retake(view));
      return;
    }
    live.status = answer.status;
    meaning(gd);
    if (live.held !== null) live.held = behind(answer.status);
    else if (answer.pushed || !live.slightly) follow(gd, answer);
    if (declare(answer.status)) dinsight.map.ring(gd, choices.glow);
    tell("status", { view: live.view, status: answer.status });
    if (live.held === null && behind(answer.status)) askNow();
  }

  /** How many points the view does not show yet; all of them, where they are of another epoch. */
  function behind({ epoch, last_seq: last }) {
    return live.cursor.epoch === epoch ? Math.max(0, last - live.cursor.seq) : last;
  }

  /** Pause the view, not the stream, or go on from where it was; a view that opens anew goes on. */
  function hold() {
    if (dinsight.playback.on()) return dinsight.playback.toggle();
    if (!live.cursor) return;
    const paused = live.held === null;
    live.held = paused ? behind(live.status) : null;
    dinsight.shell.say(paused ? "The view is paused. The stream goes on." : "The view goes on.");
    dinsight.socket.review();
    if (!paused) askNow();
    paint();
  }

  /** The plot was not ready: try again, unless the page shows something else by now. */
  function retake(view) {
    if (view !== live.view || !live.waiting) return;
    const answer = live.waiting;
    live.waiting = null;
    if (!document.getElementById("live-map")) return;
    take(answer);
    paint();
  }

  /** Draw what of the answer is not drawn yet. A new epoch, or a gap, starts the view anew. */
  function follow(gd, answer) {
    const { cursor } = live;
    const again = answer.snapshot && cursor; // another moment of the same recording
    const known = !again && cursor && cursor.epoch === answer.epoch ? cursor.seq : null;
    const { cap, earlier } = live.view;
    const first = known === null || answer.first > known + 1;
    if (again) rewind(gd);
    else if (cursor && first) anew(gd, known === null ? 0 : earlier);
    const done = first ? 0 : known + 1 - answer.first;
    const came = settle(gd, answer);
    const points = came || dinsight.map.unpack(answer, done);
    if (answer.n > done) {
      const { glow, follow: following } = choices;
      if (!came) dinsight.map.extend(gd, points, { cap, glow, earlier, following });
      else if (following) dinsight.map.go(gd);
      wantContour();
    }
    tell("points", { view: live.view, epoch: answer.epoch, points, anew: first });
    const last = answer.first + answer.n - 1;
    live.cursor = { epoch: answer.epoch, seq: first ? last : Math.max(known, last) };
    if (first && answer.n && !again) dinsight.over.ask(last);
  }

  /** All that is drawn may be of later: it goes without a frame of its own. */
  function rewind(gd) {
    dinsight.map.forget(gd);
    live.counted = false;
    window.clearTimeout(live.contourTimer);
    live.contourTimer = 0;
    live.contourAt = now() - CONTOUR_MS + RESTED_MS;
  }

  /** Another run, or a gap in this one: `earlier` anomalous points stay. */
  function anew(gd, earlier) {
    dinsight.map.clear(gd, { earlier });
    live.counted = false;
  }

  /** A plot that was just made shows what was known then: the points of `answer`, if it is of that. */
  function settle(gd, answer) {
    if (!live.composed) return null;
    const { first, points, choices: before } = live.composed;
    live.composed = null;
    dinsight.frame.watch(gd);
    dinsight.over.watch(gd);
    apply(gd, before);
    return answer === first ? points : null;
  }

  function meaning(gd) {
    const limit = live.status.alarm_limit || 1;
    dinsight.map.meaning(gd, { axes: live.view.colours, limit });
  }

  function progress(answer) {
    if (answer.kind !== "fitting") return;
    dinsight.put("live-fit-bar", { style: { width: `${answer.progress}%` } });
    dinsight.put("live-fit-text", { text: answer.text });
  }

  /* ---- densities: counted by the server, asked for at most every five seconds ---- */

  /** The first seq of what is drawn as points, where there is more; else null. */
  function window_(gd) {
    const before = live.status.streamed_points > dinsight.map.drawn(gd);
    return before ? dinsight.map.first(gd) : null;
  }

  function wantContour() {
    if (live.contourTimer) return;
    const wait = Math.max(0, live.contourAt + CONTOUR_MS - now());
    const { view } = live;
    live.contourTimer = window.setTimeout(() => {
      if (view !== live.view) return;
      live.contourTimer = 0;
      const gd = dinsight.map.ready(view.key);
      if (!gd || !document.getElementById("live-map")) return;
      const { contours } = choices;
      const asked = { contours, window: window_(gd), earlier: !live.counted, ...moment() };
      if (!contours && asked.window === null) return;
      live.contourAt = now();
      const data = { ...question(), ...asked };
      dinsight.ask("live-contour-ask", "live-contour", data).then(contour);
    }, wait);
  }

  /** In a recording only what had come by its moment is counted. */
  function moment() {
    if (!live.view.playback || !live.cursor) return {};
    return { epoch: live.cursor.epoch, upto: live.cursor.seq };
  }

  function contour(found) {
    const { view } = live;
    const gd = found && view && found.key === view.key && dinsight.map.ready(view.key);
    if (!gd || !live.cursor || found.epoch !== live.cursor.epoch || live.held !== null) return;
    if (view.playback && found.upto > live.cursor.seq) return wantContour();
    if (found.earlier) live.counted = true;
    dinsight.map.density(gd, found, { contours: choices.contours, most: view.earlier });
  }

  /* ---- opening ---- */

  /** The address changed: ask the server to open what it names. */
  function want(search, path) {
    if (!dinsight.browser.isAt(path)) return skip();
    live = fresh(null);
    chosenAnew(dinsight.choices.renew());
    dinsight.choices.show("glow", choices.glow);
    dinsight.browser.nameSlider();
    beat();
    dinsight.socket.review();
    paint();
    dinsight.open.find(search || "").then(opened);
    return search || "";
  }

  /** Open the page's stream anew: what there is to show has changed. */
  function open() {
    if (!document.getElementById("live-map")) return; // another page by now
    live.asked = now(); // no question until the answer
    dinsight.open.find(window.location.search).then(opened);
  }

  /** The server opened a view: forget the one before, and draw what it says first. */
  function opened(found) {
    if (!found || !document.getElementById("live-map")) return;
    const { view, first, figure } = found;
    live = fresh(view);
    if (first && first.kind === "ready") declare(first.status);
    const points = dinsight.open.compose(figure, view, first, choices);
    live.composed = { first, points, choices: { ...choices } };
    dinsight.browser.address(view);
    dinsight.open.offer(found);
    tell("opened", { view });
    paint();
    reduce(first);
  }

  /** A select was changed by hand: the address follows, and the page follows the address. */
  function chosen(baseline, stream) {
    if (!live.view || !baseline) return;
    const id = Number(baseline);
    const { view } = live;
    if (id === view.baseline_id && stream === view.stream) return;
    const next = id === view.baseline_id ? stream : "default";
    const search = dinsight.browser.search({ baseline_id: id, stream: next });
    // Not by the Location's `search`: it would first put back the address that the page came with.
    dinsight.shell.visit(dinsight.browser.PATH + search);
  }

  /* ---- settings and actions ---- */

  /** A choice is made, by hand or by what follows from something else: its control shows it. */
  function choose(name, value) {
    dinsight.choices.show(name, value);
    changed(name, value);
  }

  /** A control was changed by hand. */
  function changed(name, value) {
    const before = { ...choices };
    dinsight.choices.choose(name, value);
    chosenAnew(dinsight.choices.all());
    const gd = live.view && dinsight.map.ready(live.view.key);
    if (gd && live.cursor) apply(gd, before);
    if (choices.auto && !before.auto) askNow();
    if (choices.interval !== before.interval) beat();
    dinsight.socket.review();
    paint();
  }

  /** The slider says something: what it was given itself is no choice. */
  function sized(size) {
    if (size !== choices.size) changed("size", size);
  }

  const NAMES = ["contours", "glow", "auto", "interval", "colour", "follow"];

  function typed(target) {
    if (target.closest("#live-columns")) changed("columns", chosenColumns());
    const name = NAMES.find((each) => target.id === `live-${each}`);
    if (name) changed(name, dinsight.read(target));
  }

  /** Take the choices; until somebody chooses the rings, the sender's declared count holds. */
  function chosenAnew({ glow, ...others }) {
    Object.assign(choices, others);
    const declared = live.status && live.status.latest_glow_count;
    choices.glow = glow === null ? (declared ?? choices.glow) : glow;
  }

  function apply(gd, before) {
    const other = (name) => choices[name] !== before[name];
    if (other("size")) dinsight.map.size(gd, choices.size);
    if (other("glow")) dinsight.map.ring(gd, choices.glow);
    if (other("contours")) showContours(gd);
    if (other("colour")) dinsight.map.colour(gd, choices.colour);
    if (other("follow") && choices.follow) dinsight.map.go(gd);
  }

  function showContours(gd) {
    dinsight.map.contours(gd, choices.contours);
    if (choices.contours && dinsight.map.drawn(gd)) wantContour();
  }

  /** Take as many rings as the sender declares, while nobody chooses; whether that is news. */
  function declare({ latest_glow_count: glow }) {
    if (dinsight.choices.all().glow !== null || glow === choices.glow) return false;
    choices.glow = glow;
    dinsight.choices.show("glow", glow);
    return true;
  }

  /** The metadata that the label of a point says. */
  function said() {
    return choices.columns === null ? live.columns.slice(0, SAID) : choices.columns;
  }

  /** More names of metadata are known: offer them. */
  function columns(names) {
    const place = document.getElementById("live-columns");
    if (!place) return;
    const shown = said();
    place.replaceChildren(...names.map((name) => columnOf(name, shown.includes(name))));
    dinsight.put("live-columns-field", { hidden: false });
  }

  function columnOf(name, checked) {
    const [label, box] = [document.createElement("label"), document.createElement("input")];
    Object.assign(box, { type: "checkbox", value: name, checked });
    label.append(box, name);
    return label;
  }

  /** Those that are ticked, and those of before that are not listed yet: they may be of another. */
  function chosenColumns() {
    const boxes = [...document.querySelectorAll("#live-columns input")];
    const listed = boxes.map(({ value }) => value);
    const others = said().filter((name) => !listed.includes(name));
    return [...others, ...boxes.filter(({ checked }) => checked).map(({ value }) => value)];
  }

  const DEEDS = {
    "live-start": "start", "live-pause": "pause", "live-resume": "resume", "live-stop": "stop",
    "live-reset-confirm": "reset",
  };

  /** Do something with the stream. */
  function act(deed) {
    if (!live.view) return;
    const { key, baseline_id, stream } = live.view;
    dinsight.ask("live-deed", "live-acted", { key, baseline_id, stream, act: deed }).then(acted);
  }

  function acted(result) {
    if (!result) return;
    dinsight.shell.say(result.sentence);
    askNow();
  }

  function tell(what, detail) {
    document.dispatchEvent(new CustomEvent(`dinsight:${what}`, { detail }));
  }

  const paint = () => dinsight.paint.all(live);

  beat();

  window.addEventListener("load", () => window.setInterval(paint, 1000)); // once all files are there
  document.addEventListener("dinsight:theme", (event) => {
    const gd = live.view && live.view.themes && dinsight.map.ready(live.view.key);
    if (gd) dinsight.map.dress(gd, live.view.themes[event.detail]);
  });
  document.addEventListener("dinsight:moved", () => {
    if (choices.follow) choose("follow", false);
  });
  document.addEventListener("click", (event) => {
    const gd = event.target.closest("#live-fit") && live.view && dinsight.map.ready(live.view.key);
    if (gd && live.cursor) dinsight.frame.fit(gd);
    const button = event.target.closest("button");
    if (!button || button.disabled) return;
    if (button.id in DEEDS) act(DEEDS[button.id]);
    else if (button.id === "live-refresh") refresh();
    else if (button.id === "live-pause-view") hold();
  });
  document.addEventListener("input", ({ target }) => {
    if (target.type === "number") typed(target);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.type !== "number") typed(target);
    if (target.id !== "live-baseline" && target.id !== "live-stream") return;
    const [baseline, stream] = ["live-baseline", "live-stream"].map((id) => document.getElementById(id));
    chosen(baseline.value, stream.value);
  });
  document.addEventListener("dinsight:unopened", () => backOff(open));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && choices.auto) askNow();
  });

  dinsight.live = { state: () => live, choices, choose, ask: askNow, reduce, hold, said, columns };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.live = { want, sized };
})();
