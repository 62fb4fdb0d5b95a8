/* The live streaming page: one question at a time out, one reducer for every answer.

   want (what the address asks for) -> view (what the server opened) -> ask -> feed -> drawn.
   The cursor lives here and moves only when points are drawn, so nothing is missed or drawn twice:
   not when an answer is lost, not when the server was away, not when a tab has slept. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const BACK_OFF = [1, 2, 4, 8, 10]; // seconds between tries while the server does not answer
  const CONTOUR_MS = 5000;
  const GLOW_KEY = "dinsight.glow";
  const PATH = "/dashboard/streaming";

  const now = () => window.performance.now();
  const skip = () => window.dash_clientside.no_update;

  const MANY = 3000; // points that plain SVG draws as fast as WebGL does

  const choices = { contours: true, size: 6, glow: 10, auto: true, interval: 2, gl: null };
  let wants = 0;
  let live = fresh(null);

  /** What is known of one opening of the page. */
  function fresh(view) {
    return {
      view,
      cursor: null, // {epoch, seq} of the last drawn point
      asked: null, // when the question under way was sent
      waiting: null, // an answer that the plot is not ready for
      status: null,
      seenAt: null, // when the last good answer came
      failures: 0, // tries in a row that the server did not answer
      retryAt: null,
      contourAt: -Infinity,
      contourTimer: 0,
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
      limit: view.cap,
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
    if (!mayAsk() || (live.retryAt !== null && !manual) || (!choices.auto && !manual)) return skip();
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
    live.failures = 0;
    live.retryAt = null;
    live.asked = null;
    live.seenAt = now();
    if (answer.kind !== live.view.kind) return open();
    if (answer.kind === "ready") take(answer);
    else progress(answer);
    paint();
  }

  function failed() {
    const wait = BACK_OFF[Math.min(live.failures, BACK_OFF.length - 1)];
    live.asked = null;
    live.failures += 1;
    live.retryAt = now() + wait * 1000;
    const { view } = live;
    window.setTimeout(() => view === live.view && askNow(), wait * 1000);
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
    if (needsWebGL(answer.status)) return open();
    follow(gd, answer);
    declaredGlow(answer.status);
    if (live.cursor.seq < answer.status.last_seq) askNow();
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
    if (answer.n > done) {
      dinsight.map.extend(gd, dinsight.map.unpack(answer, done), { cap: live.view.cap, glow: choices.glow });
      wantContour();
    }
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
      if (view !== live.view || !dinsight.map.ready(view.key)) return;
      live.contourTimer = 0;
      live.contourAt = now();
      window.dash_clientside.set_props("live-contour-ask", { data: question() });
    }, wait);
  }

  function contour(grid) {
    const gd = grid && live.view && grid.key === live.view.key && dinsight.map.ready(live.view.key);
    if (!gd || !live.cursor || grid.epoch !== live.cursor.epoch) return;
    dinsight.map.density(gd, grid, choices.contours);
  }

  /* ---- opening ---- */

  /** The address changed: ask the server to open what it names. */
  function want(search, path) {
    if (path.replace(/\/$/, "") !== PATH) return skip();
    live = fresh(null);
    return wish(search);
  }

  function wish(search) {
    wants += 1;
    return {
      n: wants,
      search: search || "",
      gl: choices.gl === true,
      touch: window.matchMedia("(pointer: coarse)").matches,
      theme: window.dinsightTheme.current(),
    };
  }

  /** Open the page's stream anew: what there is to show has changed. */
  function open() {
    live.asked = now(); // no question until the answer
    window.dash_clientside.set_props("live-want", { data: wish(window.location.search) });
  }

  /** Many points need WebGL: look for it only then, since asking makes some browsers warn. */
  function needsWebGL(status) {
    const points = status.streamed_points + live.view.baseline_points;
    if (choices.gl !== null || points < MANY) return false;
    choices.gl = hasWebGL();
    return choices.gl;
  }

  /** Whether WebGL runs on a graphics card: in software it is no faster than plain SVG. */
  function hasWebGL() {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("webgl", { failIfMajorPerformanceCaveat: true });
    if (!context) return false;
    const about = context.getExtension("WEBGL_debug_renderer_info");
    const renderer = context.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : context.RENDERER);
    const loss = context.getExtension("WEBGL_lose_context");
    if (loss) loss.loseContext();
    return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
  }

  /** The server opened a view: forget the one before and ask for its points. */
  function opened(view) {
    if (!view) return skip();
    live = fresh(view);
    address(view);
    paint();
    live.asked = now();
    return question();
  }

  /** Name in the address what is shown, without a step in the history. */
  function address(view) {
    if (window.location.search || view.baseline_id === null) return;
    window.history.replaceState(window.history.state, "", PATH + search(view));
  }

  function search({ baseline_id: id, stream }) {
    const query = new URLSearchParams({ baseline_id: id });
    if (stream && stream !== "default") query.set("stream", stream);
    return `?${query}`;
  }

  /** A select was changed by hand: the address follows, and the page follows the address. */
  function chosen(baseline, stream) {
    if (!live.view || !baseline) return;
    const id = Number(baseline);
    const { view } = live;
    if (id === view.baseline_id && stream === view.stream) return;
    const next = id === view.baseline_id ? stream : "default";
    window.dash_clientside.set_props("url", { search: search({ baseline_id: id, stream: next }) });
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
    nameSlider();
    paint();
    return choices.interval * 1000;
  }

  /** Dash's slider takes no label of its own. */
  function nameSlider() {
    const thumb = document.querySelector("#live-size [role=slider]");
    if (thumb) thumb.setAttribute("aria-label", "Point size");
    else if (document.getElementById("live-size")) window.setTimeout(nameSlider, 200);
  }

  function showContours(gd) {
    dinsight.map.contours(gd, choices.contours);
    if (choices.contours && dinsight.map.drawn(gd)) wantContour();
  }

  function stored() {
    const text = window.localStorage.getItem(GLOW_KEY);
    return text === null ? null : Number(text);
  }

  /** The person's own count is kept; until there is one, the sender's declared count holds. */
  function chosenGlow(value) {
    const glow = Math.min(1000, Math.max(0, Math.round(Number(value) || 0)));
    if (value === null || value === undefined || value === "" || glow === choices.glow) return;
    choices.glow = glow;
    window.localStorage.setItem(GLOW_KEY, String(glow));
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

  /* ---- painting: words and bars; only what has changed ---- */

  function set(id, props) {
    const text = JSON.stringify(props);
    if (live.painted[id] === text || !document.getElementById(id)) return;
    live.painted[id] = text;
    window.dash_clientside.set_props(id, props);
  }

  function age() {
    const { status, seenAt } = live;
    return status && status.age !== null ? status.age + (now() - seenAt) / 1000 : null;
  }

  function seen() {
    return live.seenAt === null ? 0 : (now() - live.seenAt) / 1000;
  }

  function paint() {
    if (!document.getElementById("live-badge")) return;
    const { view, status } = live;
    paintBadge();
    set("live-stage", { className: `stage stage-${stage()}` });
    if (!view || view.kind !== "ready") return quiet(view);
    paintMachine();
    if (status) paintStatus(status);
  }

  function stage() {
    const { view, status } = live;
    if (!view) return "loading";
    if (view.kind !== "ready") return "blocked";
    if (!status) return "loading";
    return status.streamed_points ? "live" : "waiting";
  }

  const KINDS = {
    none: "No baseline", fitting: "Being fitted", failed: "Not fitted", refused: "Nothing to show",
  };

  function paintBadge() {
    const retryIn = live.retryAt === null ? null : Math.max(0, (live.retryAt - now()) / 1000);
    const { status } = live;
    let badge = dinsight.words.badge({
      status, retryIn, age: age(), auto: choices.auto, seen: seen(), push: false,
    });
    const kind = live.view && live.view.kind;
    if (retryIn === null && kind in KINDS) badge = { text: KINDS[kind], kind: "wait" };
    set("live-badge", { children: badge.text, className: `badge badge-${badge.kind}` });
    set("live-announce", { children: badge.kind === "lost" ? "Connection lost" : "" });
  }

  /** There is no stream: nothing to say about a machine, nothing to press. */
  function quiet(view) {
    paintTitle(view, "");
    set("live-state", { children: "Unknown", className: "state state-unknown" });
    set("live-score", { children: "" });
    set("live-heard", { children: "" });
    set("live-count", { children: "–" });
    paintButtons(null);
  }

  function paintMachine() {
    const machine = dinsight.words.machine(live.status, age(), seen());
    set("live-state", { children: machine.word, className: `state state-${machine.kind}` });
    set("live-heard", { children: machine.heard });
    set("live-score", { children: live.status ? dinsight.words.score(live.status.score) : "" });
    paintTitle(live.view, machine.word === "Unknown" ? "" : machine.word);
  }

  function paintTitle(view, word) {
    const parts = [word, view && view.name, "D'insight"].filter(Boolean);
    document.title = parts.join(" · ");
  }

  function paintStatus(status) {
    const percent = status.progress_percentage;
    set("live-count", { children: dinsight.words.count(status) });
    set("live-percent", { children: percent === null ? "" : `${Math.floor(percent)} %` });
    set("live-bar-field", { hidden: percent === null });
    set("live-bar", { style: { width: `${percent || 0}%` } });
    set("live-rate", { children: status.is_active ? dinsight.words.rate(status.rate) : "–" });
    set("live-last", lastPoint(status));
    set("live-level", { children: status.streamed_points ? status.level : "–" });
    set("live-baseline-points", { children: dinsight.words.whole.format(status.baseline_points) });
    set("live-reset-text", { children: resetText(status) });
    paintNote(status);
    paintButtons(status);
  }

  function lastPoint(status) {
    if (!status.last_update) return { children: "none yet", title: "" };
    const clock = dinsight.words.clock(status.last_update, new Date());
    return { children: `${dinsight.words.ago(age())}, ${clock}`, title: `${status.last_update} (UTC)` };
  }

  function resetText(status) {
    const points = status.streamed_points;
    const what = points === 1 ? "The one point" : `The ${dinsight.words.whole.format(points)} points`;
    return (
      `${what} of this run will be archived and the map starts empty. ` +
      "Archived points stay in the database; the baseline is not touched."
    );
  }

  function paintNote(status) {
    const gd = dinsight.map.ready(live.view.key);
    if (!gd) return;
    const text = dinsight.words.note({
      drawn: Math.min(dinsight.map.drawn(gd), status.streamed_points),
      streamed: status.streamed_points,
      outside: dinsight.map.outside(gd),
    });
    set("live-note", { children: text });
  }

  function paintButtons(status) {
    const can = dinsight.words.actions(status);
    for (const [name, may] of Object.entries(can)) set(`live-${name}`, { disabled: !may });
    set("live-refresh", { disabled: !live.view });
  }

  window.setInterval(paint, 1000);
  document.addEventListener("dinsight:theme", (event) => {
    const gd = live.view && live.view.themes && dinsight.map.ready(live.view.key);
    if (gd) dinsight.map.dress(gd, live.view.themes[event.detail]);
  });
  document.addEventListener("dinsight:unopened", () => {
    const wait = BACK_OFF[Math.min(live.failures, BACK_OFF.length - 1)];
    live.failures += 1;
    live.retryAt = now() + wait * 1000;
    window.setTimeout(open, wait * 1000);
    paint();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && choices.auto) askNow();
  });

  dinsight.live = { state: () => live, choices };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.live = {
    want, opened, chosen, pump, reduce, contour, settings, acted,
  };
})();
