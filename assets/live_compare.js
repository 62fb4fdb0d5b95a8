/* Another stream on this map: its newest points as open squares in a third colour, their trace named
   `Compared`, and what it does in a line of the status.

   One question is under way at a time, from the cursor on, and only while something is compared: the
   tick of the stream itself knows nothing of it. `?compare=<stream>`, or `<baseline>:<stream>`. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const NAME = "Compared";
  const MOST = 600; // points
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const BACK_OFF = [2, 4, 8, 10]; // seconds between tries while the server does not answer
  const STEP_MS = 250;
  const LEVELS = ["healthy", "warning", "alarm"];

  const now = () => window.performance.now();
  const byId = (id) => document.getElementById(id);
  const number = (value) => dinsight.words.whole.format(value);

  let view = null;
  let other = null; // {baseline_id, stream} that is compared
  let run = fresh();

  /** What is known of one comparison. */
  function fresh() {
    return {
      cursor: null, // as the server gave it
      points: { x: [], y: [], text: [] },
      asked: null, // when the question under way was sent
      dueAt: 0,
      failures: 0,
      answer: null, // the last one that was ready
      seenAt: null,
      message: "",
      stopped: false, // it was refused, and will be
      timer: 0,
    };
  }

  /* ---- what is compared ---- */

  /** `<baseline>:<stream>`, or a stream of this baseline. */
  function parse(text) {
    const found = /^(\d{1,10}):(.+)$/.exec(text || "");
    if (found) return { baseline_id: Number(found[1]), stream: found[2] };
    return text ? { baseline_id: view.baseline_id, stream: text } : null;
  }

  const word = ({ baseline_id: id, stream }) => `${id}:${stream}`;

  /** As the address has it: in short for a stream of this baseline, unless it looks like the other. */
  function short(target) {
    const own = target.baseline_id === view.baseline_id && !/^\d{1,10}:/.test(target.stream);
    return own ? target.stream : word(target);
  }

  function address() {
    const query = new URLSearchParams(window.location.search);
    if (other) query.set("compare", short(other));
    else query.delete("compare");
    const search = query.toString().replace(/%3A/g, ":");
    const next = window.location.pathname + (search && `?${search}`);
    window.history.replaceState(window.history.state, "", next);
  }

  function begin(target) {
    end();
    other = target;
    run.timer = window.setInterval(step, STEP_MS);
    dinsight.put("compare-line", { hidden: false });
    paint();
    ask();
  }

  function end() {
    window.clearInterval(run.timer);
    run = fresh();
    other = null;
    dinsight.put("compare-line", { hidden: true });
    remove();
  }

  /** The select was changed. */
  function chosen(value) {
    if (!view || view.kind !== "ready" || view.playback) return;
    if (value) begin(parse(value));
    else end();
    address();
  }

  function opened(next) {
    const same = view && view.baseline_id === next.baseline_id && view.stream === next.stream;
    const before = same ? other : null;
    view = next;
    end();
    dinsight.put("compare-with", { value: "" });
    if (view.kind !== "ready" || view.display || view.playback || dinsight.kiosk.on()) return;
    const named = new URLSearchParams(window.location.search).get("compare");
    const target = parse(named) || before;
    if (target) begin(target);
    offer();
  }

  /** Ask what can be chosen; the select shows what is. */
  async function offer() {
    const [asked, { key, baseline_id, stream }] = [view, view];
    const question = { key, baseline_id, stream };
    const options = await dinsight.ask("compare-look", "compare-offered", question);
    if (options && view === asked) dinsight.offer("compare-with", options, other ? word(other) : "");
  }

  /* ---- asking ---- */

  function ask() {
    const { key, baseline_id, stream } = view;
    run.asked = now();
    const data = {
      key, baseline_id, stream,
      with_baseline: other.baseline_id, with_stream: other.stream,
      after: run.cursor, limit: MOST,
    };
    dinsight.ask("compare-ask", "compare-feed", data).then(reduce);
  }

  function step() {
    if (!byId("compare-line")) return end(); // another page by now
    paint();
    if (document.hidden || run.stopped || (run.asked !== null && now() - run.asked < LOST_MS)) return;
    const state = dinsight.live.state();
    const moves = dinsight.live.choices.auto && state.held === null;
    if (moves && now() >= run.dueAt) ask();
  }

  /** After an answer: not before the page's own interval is over. */
  function rest(seconds) {
    run.asked = null;
    run.dueAt = now() + seconds * 1000;
  }

  function reduce(answer) {
    if (!answer || !other || !view) return;
    if ("failed" in answer) {
      rest(BACK_OFF[Math.min(run.failures, BACK_OFF.length - 1)]);
      run.failures += 1;
      return paint();
    }
    if (answer.key !== view.key || answer.with !== word(other)) return; // of what was shown before
    run.failures = 0;
    rest(dinsight.live.choices.interval);
    run.message = answer.message || "";
    if (answer.kind === "ready") take(answer);
    else clear(answer.kind === "refused");
    paint();
  }

  /** There is nothing to show, for good or until a map is there. */
  function clear(stopped) {
    Object.assign(run, { cursor: null, points: fresh().points, answer: null, stopped });
    remove();
  }

  function take(answer) {
    const gd = dinsight.map.ready(view.key);
    if (!gd) return rest(0); // the cursor stays: the same points come again
    const another = run.answer && run.answer.epoch !== answer.epoch;
    if (another || !run.cursor) run.points = fresh().points;
    run.cursor = answer.next;
    run.answer = answer;
    run.seenAt = now();
    if (answer.n) add(answer);
    if (answer.n || another) draw(gd);
  }

  /* ---- drawing ---- */

  function add(answer) {
    const [x, y, score] = [answer.x, answer.y, answer.score].map(dinsight.map.floats);
    const here = answer.here ? dinsight.map.floats(answer.here) : null;
    const level = Uint8Array.from(window.atob(answer.level), (character) => character.charCodeAt(0));
    const text = x.map((_, i) => label(answer, {
      seq: answer.first + i, score: score[i], level: LEVELS[level[i]], here: here && here[i],
    }));
    const more = { x, y, text };
    for (const name of Object.keys(run.points)) {
      run.points[name] = run.points[name].concat(more[name]).slice(-MOST);
    }
  }

  /** What the pointer is told of a point: whose it is comes first. */
  function label({ machine, status }, { seq, score, level, here }) {
    const lines = [
      `<b>${plain(machine)} · ${plain(other.stream)}</b>`,
      `point ${number(seq)}`,
      `${dinsight.words.score(score / (status.alarm_limit || 1))}, ${level}`,
    ];
    if (here !== null) lines.push(`on this map: ${dinsight.words.score(here)}`);
    return lines.join("<br>");
  }

  /** A name is text, whatever signs it holds. */
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const colour = () => getComputedStyle(document.documentElement).getPropertyValue("--compared").trim();
  const at = (gd) => gd.data.findIndex(({ name }) => name === NAME);

  function draw(gd) {
    const found = at(gd);
    if (found < 0) {
      const under = gd.data.findIndex(({ name }) => name === dinsight.map.EARLIER);
      window.Plotly.addTraces(gd, trace(gd), under); // it covers no point of the stream itself
      return;
    }
    Object.assign(gd.data[found], run.points);
    dinsight.frame.accompany(gd, run.points, false);
    window.Plotly.redraw(gd);
  }

  function trace(gd) {
    const monitor = gd.data.find(({ name }) => name === "Monitor");
    dinsight.frame.accompany(gd, run.points, false);
    const marker = { symbol: "square-open", color: colour(), size: monitor.marker.size + 1, line: { width: 1.5 } };
    return {
      type: monitor.type, mode: "markers", name: NAME, uid: NAME, ...run.points, marker,
      hovertemplate: "%{text}<extra></extra>", hoverlabel: { align: "left" },
    };
  }

  function remove() {
    const gd = view && dinsight.map.ready(view.key);
    if (gd && at(gd) >= 0) window.Plotly.deleteTraces(gd, at(gd));
  }

  /** How many of its points lie outside of what is shown. */
  function outside() {
    const gd = dinsight.map.ready(view.key);
    if (!gd) return 0;
    const { x, y } = dinsight.frame.ranges(gd);
    const off = (value, [low, high]) => value < low || value > high;
    return run.points.x.filter((value, i) => off(value, x) || off(run.points.y[i], y)).length;
  }

  /* ---- its line ---- */

  function paint() {
    if (!other || !byId("compare-line")) return;
    const { answer } = run;
    const machine = answer && answer.machine;
    const own = other.baseline_id === view.baseline_id;
    const named = own || !machine ? other.stream : `${machine} · ${other.stream}`;
    dinsight.put("compare-machine", { text: named });
    if (!answer) {
      dinsight.put("compare-state", { hidden: true });
      dinsight.put("compare-said", { text: run.message || waits() });
      return;
    }
    const since = (now() - run.seenAt) / 1000;
    const seconds = answer.status.age === null ? null : answer.status.age + since;
    const { word: state, kind } = dinsight.words.machine(answer.status, seconds, since);
    dinsight.put("compare-state", { text: state, className: `state state-${kind}`, hidden: false });
    dinsight.put("compare-said", { text: said(answer, seconds).filter(Boolean).join(" · ") });
  }

  const waits = () => (run.failures ? "The server does not answer." : "Reading its points …");

  function said({ status, unplaced }, seconds) {
    const score = status.score === null ? "" : dinsight.words.score(status.score / (status.alarm_limit || 1));
    const off = outside();
    return [
      score,
      seconds === null ? "no point yet" : `last point ${dinsight.words.ago(seconds)}`,
      off ? `${number(off)} of its points outside the view` : "",
      unplaced && !run.points.x.length ? "its readings were removed, so they cannot be placed" : "",
      run.failures ? "not refreshing" : "",
    ];
  }

  document.addEventListener("dinsight:opened", ({ detail }) => opened(detail.view));
  document.addEventListener("dinsight:theme", () => {
    const gd = other && view && dinsight.map.ready(view.key);
    if (gd && at(gd) >= 0) window.Plotly.restyle(gd, { "marker.color": colour() }, [at(gd)]);
  });
  document.addEventListener("click", ({ target }) => {
    if (other && run.asked === null && target.closest("#live-refresh")) ask();
  });

  dinsight.compare = { parse, other: () => other, cursor: () => run.cursor };
  document.addEventListener("change", ({ target }) => {
    if (target.id === "compare-with") chosen(target.value);
  });
})();
