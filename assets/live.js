/* The live streaming page: one question at a time out, one reducer for every answer.

   want (what the address asks for) -> view (what the server opened) -> ask -> feed -> drawn.
   With a socket open (live_socket.js) what is pushed is an answer like any other.
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
  const GLOW_KEY = "dinsight.glow";

  const now = () => window.performance.now();
  const skip = () => window.dash_clientside.no_update;

  const choices = { contours: true, size: 6, glow: 10, auto: true, interval: 2 };
  let wants = 0;
  let live = fresh(null);

  /** What is known of one opening of the page. */
  function fresh(view) {
    return {
      view,
      choices,
      cursor: null, // {epoch, seq} of the last drawn point
      asked: null, // when the question under way was sent
      waiting: null, // an answer that the plot is not ready for
      status: null,
      seenAt: null, // when the last good answer came
      pushedAt: null, // when the last one that was pushed came
      failures: 0, // tries in a row that the server did not answer
      retryAt: null,
      contourAt: -Infinity,
      contourTimer: 0,
      held: null, // while the view is paused: how many points are new; no drawing, no cursor
      painted: {},
    };
  }

  /* ---- asking ---- */

  function question() {
    const { view, cursor } = live;
    return {
      key: view.key,
      baseline_id: view.baseline_id,
      stream: view.stream,
      after: cursor && `${cursor.epoch}:${cursor.seq}`,
      limit: live.held === null ? view.cap : 1, // of a paused view only the status matters
      at: Date.now(),
    };
  }

  function mayAsk() {
    if (!live.view || live.waiting) return false;
    return live.asked === null || now() - live.asked > LOST_MS;
  }

  function askNow() {
    if (!mayAsk() || !document.getElementById("live-map")) return;
    live.asked = now();
    window.dash_clientside.set_props("live-ask", { data: question() });
  }

  /** The Interval's tick and the refresh button: ask, unless a question is under way. */
  function pump() {
    const manual = triggered() === "live-refresh.n_clicks";
    const due = manual || (choices.auto && live.retryAt === null && !dinsight.socket.hears());
    if (!due || !mayAsk()) return skip();
    live.asked = now();
    return question();
  }

  function triggered() {
    const [first] = window.dash_clientside.callback_context.triggered;
    return first ? first.prop_id : "";
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
    live.seenAt = now();
    if (answer.pushed) live.pushedAt = now();
    else live.asked = null;
    if (late && answer.kind === "ready") return paint(); // what was pushed since is newer
    if (answer.kind !== live.view.kind) return open();
    if (answer.kind === "ready" && answer.status.map_id !== live.view.map_id) return open();
    if (answer.kind === "ready") take(answer);
    else progress(answer);
    paint();
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
    const gd = dinsight.map.ready(live.view.key);
    if (!gd) {
      live.waiting = answer;
      window.setTimeout(retake, 50, live.view);
      return;
    }
    live.status = answer.status;
    if (live.held === null) follow(gd, answer);
    else live.held = behind(answer.status);
    declaredGlow(answer.status);
    tell("status", { view: live.view, status: answer.status });
    if (live.held === null && live.cursor.seq < answer.status.last_seq) askNow();
  }

  /** How many points the view does not show yet; all of them, where they are of another epoch. */
  function behind({ epoch, last_seq: last }) {
    return live.cursor.epoch === epoch ? Math.max(0, last - live.cursor.seq) : last;
  }

  /** Pause the view, not the stream, or go on from where it was; a view that opens anew goes on. */
  function hold() {
    if (!live.cursor) return;
    const paused = live.held === null;
    live.held = paused ? behind(live.status) : null;
    dinsight.shell.say(paused ? "The view is paused. The stream goes on." : "The view goes on.");
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
    const known = cursor && cursor.epoch === answer.epoch ? cursor.seq : null;
    if (cursor && (known === null || answer.first > known + 1)) dinsight.map.clear(gd);
    const first = known === null || answer.first > known + 1;
    const done = first ? 0 : known + 1 - answer.first;
    if (first) settle(gd);
    const points = dinsight.map.unpack(answer, done);
    if (answer.n > done) {
      dinsight.map.extend(gd, points, { cap: live.view.cap, glow: choices.glow });
      wantContour();
    }
    tell("points", { view: live.view, epoch: answer.epoch, points, anew: first });
    const last = answer.first + answer.n - 1;
    live.cursor = { epoch: answer.epoch, seq: first ? last : Math.max(known, last) };
  }

  /** Bring the user's settings to a plot that was just made. */
  function settle(gd) {
    dinsight.map.watch(gd);
    if (choices.size !== 6) dinsight.map.size(gd, choices.size);
    if (!choices.contours) dinsight.map.contours(gd, false);
  }

  function progress(answer) {
    if (answer.kind !== "fitting") return;
    set("live-fit-bar", { style: { width: `${answer.progress}%` } });
    set("live-fit-text", { children: answer.text });
  }

  /* ---- contours of the monitor points: binned by the server, at most every five seconds ---- */

  function wantContour() {
    if (!choices.contours || live.contourTimer) return;
    const wait = Math.max(0, live.contourAt + CONTOUR_MS - now());
    const { view } = live;
    live.contourTimer = window.setTimeout(() => {
      if (view !== live.view) return;
      live.contourTimer = 0;
      if (!dinsight.map.ready(view.key)) return;
      live.contourAt = now();
      window.dash_clientside.set_props("live-contour-ask", { data: question() });
    }, wait);
  }

  function contour(grid) {
    const gd = grid && live.view && grid.key === live.view.key && dinsight.map.ready(live.view.key);
    if (!gd || !live.cursor || grid.epoch !== live.cursor.epoch || live.held !== null) return;
    dinsight.map.density(gd, grid, choices.contours);
  }

  /* ---- opening ---- */

  /** The address changed: ask the server to open what it names. */
  function want(search, path) {
    if (path.replace(/\/$/, "") !== dinsight.browser.PATH) return skip();
    live = fresh(null);
    return wish(search);
  }

  function wish(search) {
    wants += 1;
    return { n: wants, search: search || "", ...dinsight.browser.screen() };
  }

  /** Open the page's stream anew: what there is to show has changed. */
  function open() {
    if (!document.getElementById("live-map")) return; // another page by now
    live.asked = now(); // no question until the answer
    window.dash_clientside.set_props("live-want", { data: wish(window.location.search) });
  }

  /** The server opened a view: forget the one before and ask for its points. */
  function opened(view) {
    if (!view) return skip();
    live = fresh(view);
    dinsight.browser.address(view);
    tell("opened", { view });
    paint();
    live.asked = now();
    return question();
  }

  /** A select was changed by hand: the address follows, and the page follows the address. */
  function chosen(baseline, stream) {
    if (!live.view || !baseline) return;
    const id = Number(baseline);
    const { view } = live;
    if (id === view.baseline_id && stream === view.stream) return;
    const next = id === view.baseline_id ? stream : "default";
    const search = dinsight.browser.search({ baseline_id: id, stream: next });
    window.dash_clientside.set_props("url", { search });
  }

  /* ---- settings and actions ---- */

  function settings(contours, size, glow, auto, interval) {
    const before = { ...choices };
    choices.contours = Boolean(contours);
    choices.size = size || 6;
    choices.auto = Boolean(auto);
    choices.interval = Math.min(10, Math.max(0.5, Number(interval) || 2));
    chosenGlow(glow);
    const gd = live.view && dinsight.map.ready(live.view.key);
    if (gd && live.cursor) {
      if (choices.size !== before.size) dinsight.map.size(gd, choices.size);
      if (choices.glow !== before.glow) dinsight.map.ring(gd, choices.glow);
      if (choices.contours !== before.contours) showContours(gd);
    }
    if (choices.auto && !before.auto) askNow();
    dinsight.browser.nameSlider();
    dinsight.socket.review();
    paint();
    return choices.interval * 1000;
  }

  function showContours(gd) {
    dinsight.map.contours(gd, choices.contours);
    if (choices.contours && dinsight.map.drawn(gd)) wantContour();
  }

  function stored() {
    const text = dinsight.shell.recall(GLOW_KEY);
    return text === null ? null : Number(text);
  }

  /** The person's own count is kept; until there is one, the sender's declared count holds. */
  function chosenGlow(value) {
    const glow = Math.min(1000, Math.max(0, Math.round(Number(value) || 0)));
    if (value === null || value === undefined || value === "" || glow === choices.glow) return;
    choices.glow = glow;
    dinsight.shell.remember(GLOW_KEY, String(glow));
  }

  function declaredGlow(status) {
    const own = stored();
    const glow = own === null ? status.latest_glow_count : own;
    if (glow === choices.glow) return;
    choices.glow = glow;
    dinsight.map.ring(dinsight.map.ready(live.view.key), glow);
    set("live-glow", { value: glow });
  }

  function acted(result) {
    if (!result) return;
    dinsight.shell.say(result.sentence);
    askNow();
  }

  function tell(what, detail) {
    document.dispatchEvent(new CustomEvent(`dinsight:${what}`, { detail }));
  }

  const set = (id, props) => dinsight.paint.set(live, id, props);
  const paint = () => dinsight.paint.all(live);

  window.setInterval(paint, 1000);
  document.addEventListener("dinsight:theme", (event) => {
    const gd = live.view && live.view.themes && dinsight.map.ready(live.view.key);
    if (gd) dinsight.map.dress(gd, live.view.themes[event.detail]);
  });
  document.addEventListener("dinsight:unopened", () => backOff(open));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && choices.auto) askNow();
  });

  dinsight.live = { state: () => live, choices, ask: askNow, reduce, hold };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.live = {
    want, opened, chosen, pump, reduce, contour, settings, acted, hold,
  };
})();
