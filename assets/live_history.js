/* The dialog of recorded runs: every stream and epoch of the baseline, the newest first. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const PAGE = 50;
  const AGAIN_MS = 1500; // while the worst level of a run is still read
  const WORDS = { healthy: "Healthy", warning: "Warning", alarm: "Alarm" };
  const ENDED = { reset: "ended by a reset", refit: "went on on another map" };

  let shown = []; // runs that are listed
  let next = 0; // the offset of what comes after them; null at the end
  let again = 0;

  const get = (id) => document.getElementById(id);
  const whole = (count) => dinsight.words.whole.format(count);
  const say = (text) => dinsight.put("playback-list-note", { text });

  function open() {
    const { view } = dinsight.live.state();
    if (!view || view.baseline_id === null) return;
    [shown, next] = [[], 0];
    get("playback-list").replaceChildren();
    dinsight.put("playback-more", { hidden: true });
    get("playback-dialog").showModal();
    say("Reading …");
    more();
  }

  async function read(limit, offset) {
    const { view } = dinsight.live.state();
    const path = `/api/v1/streaming/${view.baseline_id}/sessions`;
    return dinsight.record.get(`${path}?limit=${limit}&offset=${offset}`);
  }

  async function more() {
    try {
      const found = await read(PAGE, next);
      shown = shown.concat(found.sessions);
      ({ next } = found);
      list();
      const points = found.total === 1 ? "One run." : `${whole(found.total)} runs, the newest first.`;
      say(points);
      dinsight.put("playback-more", { hidden: next === null });
      if (shown.some(({ points: count, worst }) => count && worst === null)) later();
    } catch (error) {
      say(error.message);
    }
  }

  /** What was still read is known by now, or a little more of it. */
  function later() {
    window.clearTimeout(again);
    again = window.setTimeout(async () => {
      if (!get("playback-dialog") || !get("playback-dialog").open) return;
      try {
        const { sessions } = await read(shown.length, 0);
        if (sessions.length === shown.length) shown = sessions;
        list();
      } catch {
        return; // it says "reading" for as long
      }
      if (shown.some(({ points, worst }) => points && worst === null)) later();
    }, AGAIN_MS);
  }

  function list() {
    get("playback-list").replaceChildren(...shown.map(row));
  }

  function row(run) {
    const made = document.createElement("li");
    const button = part("button", "run");
    button.type = "button";
    button.disabled = !run.points;
    const level = run.points ? run.worst : "healthy";
    const badge = part("span", `run-level run-${run.points ? level || "unknown" : "unknown"}`);
    badge.textContent = run.points ? WORDS[run.worst] || "reading …" : "no points";
    button.append(
      line("run-when", when(run)), line("run-what", what(run)), badge,
    );
    button.addEventListener("click", () => {
      get("playback-dialog").close();
      dinsight.playback.show(run);
    });
    made.append(button);
    return made;
  }

  function when({ first_point_at: first, started_at: started, current }) {
    const at = new Date(first || started);
    const form = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
    const text = new Intl.DateTimeFormat(undefined, form).format(at);
    return current ? `${text}, present run` : text;
  }

  function what(run) {
    const { stream, epoch, points, first_point_at: first, last_point_at: last } = run;
    const parts = [`stream ${stream}, run ${epoch}`];
    if (points) parts.push(`${whole(points)} ${points === 1 ? "point" : "points"}`);
    if (points) parts.push(dinsight.words.span((Date.parse(last) - Date.parse(first)) / 1000));
    if (run.ended_by) parts.push(ENDED[run.ended_by]);
    if (run.first_seq > 1) parts.push(`kept from point ${whole(run.first_seq)} on`);
    if (points && run.readings_from !== run.first_seq) parts.push("readings partly removed");
    return parts.join(" · ");
  }

  function part(name, className) {
    const made = document.createElement(name);
    made.className = className;
    return made;
  }

  function line(className, text) {
    const made = part("span", className);
    made.textContent = text;
    return made;
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button || button.disabled) return;
    if (button.id === "playback-history") open();
    if (button.id === "playback-more") more();
  });
})();
