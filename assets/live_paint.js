/* Painting what the live page knows: words, bars and buttons, each only when it has changed.

   `live` is the state that live.js keeps; nothing here changes it. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const now = () => window.performance.now();

  function age(live) {
    const { status, seenAt } = live;
    return status && status.age !== null ? status.age + (now() - seenAt) / 1000 : null;
  }

  function seen(live) {
    return live.seenAt === null ? 0 : (now() - live.seenAt) / 1000;
  }

  function all(live) {
    if (!document.getElementById("live-badge")) return;
    const { view, status } = live;
    paintBadge(live);
    dinsight.put("live-stage", { className: `stage stage-${stage(live)}` });
    if (!view || view.kind !== "ready") return quiet(live);
    if (view.playback) paintMoment(live);
    else paintMachine(live);
    if (status) paintStatus(live);
  }

  function stage(live) {
    const { view, status } = live;
    if (!view) return "loading";
    if (view.kind !== "ready") return "blocked";
    if (!status) return "loading";
    return status.streamed_points ? "live" : "waiting";
  }

  const KINDS = {
    none: "No baseline", fitting: "Being fitted", failed: "Not fitted", refused: "Nothing to show",
  };

  function paintBadge(live) {
    const retryIn = live.retryAt === null ? null : Math.max(0, (live.retryAt - now()) / 1000);
    const { status } = live;
    const { auto } = live.choices;
    let badge = dinsight.words.badge({
      held: live.held, status, retryIn, age: age(live), auto, seen: seen(live),
      push: dinsight.socket.open(),
    });
    const kind = live.view && live.view.kind;
    if (kind === "ready" && live.view.playback) badge = recorded();
    if (retryIn === null && kind in KINDS) badge = { text: KINDS[kind], kind: "wait" };
    dinsight.put("live-badge", { text: badge.text, className: `badge badge-${badge.kind}` });
    dinsight.put("live-announce", { text: badge.kind === "lost" ? "Connection lost" : "" });
  }

  /** A recording is never live: it says so, and of which day. */
  function recorded() {
    const about = dinsight.playback.moment();
    return { text: dinsight.words.recorded(about && about.at), kind: "playback" };
  }

  /** The machine as it was at the moment of the recording. */
  function paintMoment(live) {
    const about = dinsight.playback.moment();
    const { line } = dinsight.playback.state() || {};
    const machine = dinsight.words.was(about);
    dinsight.put("live-state", { text: machine.word, className: `state state-${machine.kind}` });
    dinsight.put("live-heard", { text: machine.heard });
    const limit = about && dinsight.moments.limit(line, about.seq);
    dinsight.put("live-score", { text: about ? dinsight.words.score(about.score / limit) : "" });
    paintTitle(live, "Playback");
  }

  /** There is no stream: nothing to say about a machine, nothing to press. */
  function quiet(live) {
    paintTitle(live, "");
    dinsight.put("live-state", { text: "Unknown", className: "state state-unknown" });
    dinsight.put("live-score", { text: "" });
    dinsight.put("live-heard", { text: "" });
    dinsight.put("live-count", { text: "–" });
    paintButtons(live);
  }

  function paintMachine(live) {
    const machine = dinsight.words.machine(live.status, age(live), seen(live));
    dinsight.put("live-state", { text: machine.word, className: `state state-${machine.kind}` });
    const since = dinsight.words.since(live.status && live.status.level_since, new Date());
    const known = machine.word !== "Unknown";
    const heard = [known && since, machine.heard].filter(Boolean).join(", ");
    dinsight.put("live-heard", { text: heard });
    const { score = null, alarm_limit: limit = 1 } = live.status || {};
    const words = dinsight.words.score(score === null ? null : score / limit);
    dinsight.put("live-score", { text: words });
    paintTitle(live, machine.word === "Unknown" ? "" : machine.word);
  }

  /** While another page is on its way, the title is that page's already. */
  function paintTitle(live, word) {
    const name = (live.view && live.view.name) || "Streaming";
    dinsight.shell.entitle(dinsight.browser.PATH, [word, name]);
  }

  function paintStatus(live) {
    const { status } = live;
    const percent = status.progress_percentage;
    dinsight.put("live-count", { text: dinsight.words.count(status) });
    dinsight.put("live-percent", { text: percent === null ? "" : `${Math.floor(percent)} %` });
    dinsight.put("live-bar-field", { hidden: percent === null });
    dinsight.put("live-bar", { style: { width: `${percent || 0}%` } });
    const rate = status.is_active ? status.rate : null;
    dinsight.put("live-rate", { text: dinsight.words.rate(rate) });
    dinsight.put("live-last", lastPoint(live));
    dinsight.put("live-level", { text: status.streamed_points ? status.level : "–" });
    const baseline = dinsight.words.whole.format(status.baseline_points);
    dinsight.put("live-baseline-points", { text: baseline });
    dinsight.put("live-reset-text", { text: resetText(status) });
    paintNote(live);
    paintButtons(live);
  }

  function lastPoint(live) {
    const { status } = live;
    if (live.view.playback) {
      const about = dinsight.playback.moment();
      return { text: about ? dinsight.words.clock(about.at, new Date()) : "–", title: "" };
    }
    if (!status.last_update) return { text: "none yet", title: "" };
    const clock = dinsight.words.clock(status.last_update, new Date());
    const ago = dinsight.words.ago(age(live));
    return { text: `${ago}, ${clock}`, title: `${status.last_update} (UTC)` };
  }

  function resetText(status) {
    const points = status.streamed_points;
    const many = `The ${dinsight.words.whole.format(points)} points`;
    const what = points === 1 ? "The one point" : many;
    return (
      `${what} of this run will be archived and the map starts empty. ` +
      "Archived points stay in the database; the baseline is not touched."
    );
  }

  function paintNote(live) {
    const { status } = live;
    const gd = dinsight.map.ready(live.view.key);
    if (!gd) return;
    const sides = gd.dinsightView ? Object.values(dinsight.frame.outside(gd)) : [];
    const text = dinsight.words.note({
      drawn: Math.min(dinsight.map.shown(gd), status.streamed_points),
      streamed: status.streamed_points,
      outside: sides.reduce((sum, { x }) => sum + x.length, 0),
    });
    dinsight.put("live-note", { text });
  }

  function paintButtons(live) {
    const can = dinsight.words.actions(live.status);
    for (const [name, may] of Object.entries(can)) dinsight.put(`live-${name}`, { disabled: !may });
    dinsight.put("live-refresh", { disabled: !live.view });
    const word = live.held === null ? "Pause view" : "Resume view";
    dinsight.put("live-pause-view", { text: word, disabled: !live.cursor });
  }

  dinsight.paint = { all };
})();
