/* Playing a recording back on the page of the live view. It is another source of answers for the
   reducer of live.js: going somewhere is a snapshot, the newest points up to that one; playing on
   from there is deltas. What the timeline tells of a moment is said at once; the points follow, as
   soon as they are here. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const FRAME_MS = 30; // between two drawings, for whoever wants to press something
  const COSTLY_MS = 80; // a drawing that takes longer waits until the scrubber rests
  const STILL_MS = 100; // without a move, and it rests
  const RESTLESS = 4; // times as long as one takes, and it waits no longer
  const SLOW_MS = 300; // until it is said that something is still read
  const REST_MS = 400; // until the address names the moment
  const LEAD_MS = 300; // before the first point after a gap, as somebody who looks on feels it
  const SAID_MS = 4000; // that a word about a gap stays
  const SPEED_KEY = "dinsight.playback.speed";

  const get = (id) => document.getElementById(id);
  const whole = (count) => dinsight.words.whole.format(count);
  const now = () => window.performance.now();
  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  let play = null;

  /** What is known of one opening of a recording. */
  function fresh(view) {
    return {
      view,
      record: null,
      line: null,
      targets: [],
      seq: 0, // the moment
      drawn: 0, // the newest point on the map
      playing: false,
      speed: dinsight.moments.speed("1"),
      clock: 0, // the time of the recording, while it plays by time
      rest: 0, // parts of a row that are due, while it plays by row
      framed: 0, // when the last frame was, and when the last drawing ended
      drawnAt: 0,
      waiting: 0, // a timer until it is said that points are read
      said: "", // a word about what just happened
      trouble: "", // why nothing comes
      settle: 0,
      drawing: false,
      cost: 0, // what a drawing takes, ms, until the next frame can be shown
      moved: null, // since when the scrubber moves and nothing is drawn
      resting: 0, // a timer until it rests
    };
  }

  const on = () => play !== null;

  /* ---- opening and closing ---- */

  function opened({ view }) {
    if (play && play.record) play.record.close();
    const past = view.kind === "ready" && view.playback;
    play = past ? fresh(view) : null;
    document.documentElement.toggleAttribute("data-playback", Boolean(past));
    const able = view.kind === "ready" && !view.display && !past;
    dinsight.put("playback-open", { disabled: !able });
    if (past) begin();
  }

  async function begin() {
    const mine = play;
    track();
    mine.record = dinsight.record.open(mine.view, () => mine === play && heard(), (error) => {
      if (mine === play) trouble(error.message);
    });
    paint();
    try {
      await mine.record.load((line) => mine === play && known(line));
    } catch (error) {
      if (mine !== play) return;
      trouble(error.message);
      if (!error.gone) window.setTimeout(() => mine === play && begin(), 2000);
      return;
    }
    if (mine === play) ready();
  }

  /** The timeline has come, or more of it. */
  function known(line) {
    play.line = line;
    play.trouble = "";
    play.targets = dinsight.moments.targets(line);
    const { packed, epoch, warning, limit } = line;
    dinsight.trend.recorded({ ...packed, epoch, warning, limit, more: line.more });
    const range = get("playback-range");
    range.disabled = line.last_seq === null;
    Object.assign(range, { min: line.first_seq || 0, max: line.last_seq || 0 });
    marks();
    if (!play.seq && line.last_seq !== null) start();
    else paint();
  }

  /** From where the address says, else from the beginning. */
  function start() {
    const { at } = play.view.playback;
    const { first_seq: first, last_seq: last } = play.line;
    const chosen = dinsight.shell.recall(SPEED_KEY) || "1";
    pace(dinsight.moments.burst(play.line) && !chosen.endsWith("r") ? "10r" : chosen);
    if (at !== null && at < first) say(`What was before point ${whole(first)} is no longer kept.`);
    if (at !== null && at > last) say(`This run has ${whole(last)} points.`);
    go(at === null ? first : at);
  }

  function ready() {
    if (play.line.last_seq !== null) play.record.ahead(play.seq);
    else dinsight.live.reduce(answer({ x: [], y: [], about: [] }, 1, null));
  }

  /* ---- the moment ---- */

  /** The moment as well as it is known: of its own point, else of the timeline. */
  function moment() {
    if (!play || !play.line || !play.seq) return null;
    return play.record.point(play.seq) || dinsight.moments.about(play.line, play.seq);
  }

  /** Go to a point: words and its place at once, the map as soon as it is drawn. */
  function go(seq, { playing = false, scrubbing = false } = {}) {
    if (!play || !play.line || play.line.last_seq === null) return;
    const { first_seq: first, last_seq: last } = play.line;
    play.seq = Math.min(last, Math.max(first, Math.round(seq)));
    if (!playing) Object.assign(play, { rest: 0, clock: null });
    const shown = playing || play.seq === play.drawn;
    dinsight.marks.mark("moment", shown ? null : play.record.point(play.seq));
    paint();
    if (scrubbing && play.cost > COSTLY_MS) wantAtRest();
    else want();
  }

  /** Draw when the scrubber rests: else it would stand still for as long as each drawing takes. */
  function wantAtRest() {
    const mine = play;
    mine.moved ??= now();
    const longest = mine.moved + RESTLESS * mine.cost - now();
    window.clearTimeout(mine.resting);
    mine.resting = window.setTimeout(() => mine === play && want(), Math.min(STILL_MS, longest));
  }

  /** Draw once the frame that shows what was said at once has been painted. */
  function want() {
    if (play.drawing) return;
    play.drawing = true;
    const mine = play;
    window.requestAnimationFrame(() => window.setTimeout(() => {
      mine.drawing = false;
      if (mine === play) draw();
    }));
  }

  /** Chunks have come. */
  function heard() {
    play.trouble = "";
    if (play.line && play.drawn !== play.seq) want();
  }

  function draw() {
    const { view, seq, drawn, record, line } = play;
    if (seq < line.first_seq) return go(line.first_seq, { playing: play.playing });
    const from = Math.max(line.first_seq, seq - view.cap + 1);
    const goesOn = drawn && drawn < seq && drawn >= from - 1;
    if (seq === drawn || !get("live-map")) return;
    const points = record.points(goesOn ? drawn + 1 : from, seq);
    record.ahead(seq);
    if (!points) return wait();
    window.clearTimeout(play.waiting);
    play.waiting = 0;
    Object.assign(play, { drawn: seq, moved: null });
    dinsight.marks.mark("moment", null);
    const first = points.about.length ? points.about[0][0] : seq; // retention may have moved it
    time();
    dinsight.live.reduce(answer(points, first, seq, !goesOn));
    play.drawnAt = now();
    paint();
    settle();
  }

  /** How long it takes from now until a second frame: by then what is drawn has been shown. */
  function time() {
    const [mine, began] = [play, now()];
    const shown = () => (mine.cost = now() - began);
    window.requestAnimationFrame(() => window.requestAnimationFrame(shown));
  }

  /** What the reducer takes: points, and the status as it was when the last of them had come. */
  function answer(points, first, seq, snapshot = true) {
    const { view } = play;
    return {
      key: view.key, kind: "ready", epoch: view.playback.epoch, snapshot, first,
      n: points.x.length, points, status: status(seq),
    };
  }

  function status(seq) {
    const { view, line } = play;
    const about = seq ? play.record.point(seq) : null;
    return {
      epoch: view.playback.epoch, map_id: view.map_id, stream: view.stream, status: "recorded",
      streamed_points: seq || 0, total_points: line.last_seq, last_seq: seq || 0,
      baseline_points: view.baseline_points, is_active: false, rate: null, age: null,
      last_update: about && new Date(about.at).toISOString(), level_since: null,
      level: about ? about.level : "healthy", score: about && about.score,
      alarm_limit: dinsight.moments.limit(line, seq || 1),
      latest_glow_count: view.playback.glow,
    };
  }

  /** Points are on their way: say so, if it takes. */
  function wait() {
    if (play.waiting) return;
    const mine = play;
    play.waiting = window.setTimeout(() => mine === play && paint(), SLOW_MS);
  }

  /** The address names the moment once it rests. */
  function settle() {
    window.clearTimeout(play.settle);
    const mine = play;
    play.settle = window.setTimeout(() => {
      if (mine !== play || play.playing || !get("live-map")) return;
      window.history.replaceState(window.history.state, "", link());
    }, REST_MS);
  }

  function link() {
    const query = new URLSearchParams(window.location.search);
    query.set("baseline_id", play.view.baseline_id);
    if (play.view.stream !== "default") query.set("stream", play.view.stream);
    query.set("epoch", play.view.playback.epoch);
    if (play.seq) query.set("at", play.seq);
    return `${dinsight.browser.PATH}?${query.toString().replace(/%3A/g, ":")}`;
  }

  /* ---- playing ---- */

  function toggle() {
    if (!play || !play.line || play.line.last_seq === null) return;
    if (play.playing) return pause();
    play.playing = true;
    Object.assign(play, { framed: now(), clock: null, rest: 0 });
    if (play.seq >= play.line.last_seq && !play.line.current) {
      go(play.line.first_seq, { playing: true });
    }
    window.requestAnimationFrame(frame);
    paint();
  }

  function pause() {
    play.playing = false;
    paint();
    settle();
  }

  function step(by) {
    if (play.playing) pause();
    go(play.seq + by);
  }

  function frame() {
    if (!play || !play.playing) return;
    const at = now();
    if (at - play.drawnAt >= FRAME_MS) {
      advance(Math.min(250, at - play.framed));
      play.framed = at;
    }
    if (play && play.playing) window.requestAnimationFrame(frame);
  }

  /** So many milliseconds of somebody who looks on have passed. */
  function advance(ms) {
    const { seq, line, drawn } = play;
    if (seq !== drawn) return; // it waits for points: nothing is left out
    if (seq >= line.last_seq) return ended();
    const next = play.speed.rows ? byRow(ms) : byTime(ms);
    if (next > seq) go(next, { playing: true });
  }

  function byRow(ms) {
    play.rest += (play.speed.rows * ms) / 1000;
    const rows = Math.floor(play.rest);
    play.rest -= rows;
    return Math.min(play.line.last_seq, play.seq + rows);
  }

  function byTime(ms) {
    const { record, line, speed } = play;
    let { seq } = play;
    if (play.clock === null) play.clock = record.point(seq).at;
    play.clock += speed.times * ms;
    let next = null;
    while (seq < line.last_seq) {
      next = record.point(seq + 1);
      if (!next) {
        record.want(seq + 1, seq + 1);
        play.clock = Math.min(play.clock, record.point(seq).at); // until it is here
        break;
      }
      if (next.at > play.clock) break;
      seq += 1;
    }
    if (next && next.at > play.clock) skip(seq, next.at);
    return seq;
  }

  /** A long time without a point is not sat through. */
  function skip(seq, at) {
    const { record, speed } = play;
    const gap = at - play.clock;
    if (gap <= dinsight.moments.longest(record.usual(seq), speed.times)) return;
    play.clock = at - LEAD_MS * speed.times;
    say(`Skipped ${dinsight.words.span(gap / 1000)} without points.`);
  }

  /** There is no more. A run that still goes on may have more by now. */
  async function ended() {
    pause();
    if (!play.line.current) return say("This is the end of the run.");
    const mine = play;
    const before = play.line.last_seq;
    try {
      await mine.record.load((line) => mine === play && known(line));
    } catch (error) {
      if (mine === play) trouble(error.message);
      return;
    }
    if (mine !== play) return;
    if (play.line.last_seq > before) return toggle();
    say("This is the newest point. Go back to live to see what comes.");
  }

  function pace(text) {
    play.speed = dinsight.moments.speed(text);
    Object.assign(play, { clock: null, rest: 0 });
    const select = get("playback-speed");
    if (select && select.value !== text) select.value = text;
  }

  /** Go to the `next` or the `previous` alert. */
  function jump(which) {
    const target = dinsight.moments[which](play.targets, play.seq);
    if (!target) return say(`There is no ${which === "next" ? "further" : "earlier"} alert in this run.`);
    if (play.playing) pause();
    say(target.text);
    go(target.seq);
  }

  function toLive() {
    visit(dinsight.browser.search(play.view));
  }

  /** Play back an epoch: of the page's stream, or of another one. */
  function show({ stream, epoch }) {
    const { view } = dinsight.live.state();
    if (play && play.view.stream === stream && play.view.playback.epoch === epoch) {
      if (play.line) go(play.line.first_seq);
      return;
    }
    visit(dinsight.browser.search({ baseline_id: view.baseline_id, stream }, { epoch }));
  }

  /** The page follows the address; a timer of the moment before must not name it again. */
  function visit(search) {
    if (play) {
      window.clearTimeout(play.settle);
      play.playing = false;
    }
    dinsight.shell.visit(dinsight.browser.PATH + search);
  }

  /* ---- words ---- */

  function say(text) {
    play.said = text;
    const mine = play;
    paint();
    window.setTimeout(() => {
      if (mine !== play || play.said !== text) return;
      play.said = "";
      paint();
    }, SAID_MS);
  }

  function trouble(text) {
    play.trouble = text;
    paint();
  }

  function paint() {
    if (!play || !get("playback")) return;
    const about = moment();
    const { line, seq } = play;
    const none = !line || line.last_seq === null;
    dinsight.put("playback-play", { text: play.playing ? "Pause" : "Play", disabled: none });
    dinsight.put("playback-back", { disabled: none || seq <= line.first_seq });
    dinsight.put("playback-on", { disabled: none || seq >= line.last_seq });
    for (const which of ["previous", "next"]) {
      dinsight.put(`playback-${which}`, { disabled: none || !dinsight.moments[which](play.targets, seq) });
    }
    dinsight.put("playback-time", { text: about ? words(about) : "" });
    dinsight.put("playback-note", { text: note(about) });
    const copy = get("playback-link");
    copy.dataset.copy = window.location.origin + link();
    const range = get("playback-range");
    if (range && about) {
      range.min = play.line.first_seq; // retention deletes while it is watched
      if (range.value !== String(seq)) range.value = seq;
      range.setAttribute("aria-valuetext", words(about));
    }
    if (line) dinsight.trend.moment(about && { seq, at: about.at });
    dinsight.paint.all(dinsight.live.state());
  }

  function words({ seq, at }) {
    return `${dinsight.words.clock(at, new Date())} · point ${whole(seq)} of ${whole(play.line.last_seq)}`;
  }

  function note(about) {
    if (play.trouble) return play.trouble;
    if (!play.line) return "Reading the recording …";
    if (play.line.last_seq === null) return "This run has no points.";
    if (play.waiting && play.drawn !== play.seq) return "Reading points …";
    if (play.said) return play.said;
    if (play.line.more) return "Reading the rest of the recording …";
    const alerts = about ? dinsight.moments.active(play.line, about.seq) : [];
    if (alerts.length) return `Alert: ${alerts.map(({ title }) => title).join(", ")}`;
    if (!play.line.limits.length) return "The alarm limit of then was not kept: today's is drawn.";
    return "";
  }

  /* ---- the scrubber ---- */

  function track() {
    const place = get("playback-track");
    if (!place || place.firstChild) return;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const range = document.createElement("input");
    Object.assign(range, { type: "range", id: "playback-range", step: 1, min: 0, max: 0, value: 0 });
    range.disabled = true;
    range.setAttribute("aria-label", "Moment of the recording");
    range.addEventListener("input", () => {
      if (play.playing) pause();
      go(Number(range.value), { scrubbing: true });
    });
    place.append(canvas, range);
    new ResizeObserver(() => play && marks()).observe(place);
  }

  function marks() {
    const place = get("playback-track");
    if (place && place.firstChild && play.line) dinsight.playbackMarks.draw(place, play.line);
  }

  /* ---- by hand ---- */

  const CLICKS = {
    "playback-play": toggle, "playback-back": () => step(-1), "playback-on": () => step(1),
    "playback-previous": () => jump("previous"), "playback-next": () => jump("next"),
    "playback-live": toLive,
  };

  const KEYS = { " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1) };
  const LEAPS = { ArrowLeft: () => jump("previous"), ArrowRight: () => jump("next") }; // with Shift

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button || button.disabled) return;
    if (play && button.id in CLICKS) CLICKS[button.id]();
    const { view, status } = dinsight.live.state();
    if (button.id === "playback-open" && status) show({ stream: view.stream, epoch: status.epoch });
  });
  document.addEventListener("change", ({ target }) => {
    if (target.id !== "playback-speed" || !play) return;
    dinsight.shell.remember(SPEED_KEY, target.value);
    pace(target.value);
  });
  document.addEventListener("keydown", (event) => {
    if (!play || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || !get("live-map")) return;
    if (event.target.id === "playback-range") {
      if (event.key !== " ") return; // its own keys move it
    } else if (event.key === " " || event.target.closest("input, textarea, select, [contenteditable], [role=slider], [role=combobox]")) {
      return; // Space is of keys.js
    }
    const does = (event.shiftKey ? LEAPS : KEYS)[event.key];
    if (!does || (event.key === " " && event.repeat)) return;
    event.preventDefault();
    does();
  });
  document.addEventListener("dinsight:opened", ({ detail }) => opened(detail));
  document.addEventListener("dinsight:theme", () => play && marks());
  document.addEventListener("visibilitychange", () => {
    if (play && play.playing && document.hidden) pause();
  });

  dinsight.playback = { on, go, toggle, show, moment, still, state: () => play };
})();
