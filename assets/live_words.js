/* The words of the streaming page: pure functions from what is known to what is said.

   `status` is a stream's status as the server packs it (dinsight/packing.py); ages are seconds. */
(function () {
  "use strict";

  const WORD = { healthy: "Healthy", warning: "Deteriorating", alarm: "Failing" };
  const RECENT_SECONDS = 60; // a state older than this is no longer known
  const whole = new Intl.NumberFormat("en");

  /** "12 s", "3 min", "2 h", "4 d". */
  function span(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86400)} d`;
  }

  function ago(seconds) {
    return seconds < 1 ? "just now" : `${span(seconds)} ago`;
  }

  /**
   * The connection badge: the first that holds. `retryIn` is null while the server answers, else
   * the seconds until the next try; `held` is null while the view follows, else how many points
   * it has not drawn; `auto` is whether the view refreshes by itself, `seen` how old the last
   * answer is, `push` whether points are pushed.
   */
  function badge({ status, retryIn, held = null, age, auto, seen, push }) {
    if (retryIn !== null) {
      const when = retryIn >= 0.5 ? `Reconnecting in ${Math.round(retryIn)} s` : "Reconnecting …";
      return { text: when, kind: "lost" };
    }
    if (!status) return { text: "Connecting", kind: "wait" };
    if (held !== null) return { text: `View paused, ${whole.format(held)} new`, kind: "held" };
    const state = ofStream(status, age, push);
    if (auto) return state;
    // Nothing refreshes this view: never show a state without saying how old it is.
    const text = state.moving ? "Not refreshing" : state.text;
    return { text: `${text}, seen ${ago(seen)}`, kind: state.moving ? "wait" : state.kind };
  }

  function ofStream(status, age, push) {
    if (status.status === "paused") return { text: "Paused", kind: "held" };
    if (status.status === "stopped") return { text: "Stopped", kind: "held" };
    if (status.status === "completed") return { text: "Finished", kind: "done" };
    if (!status.streamed_points) return { text: "Waiting", kind: "wait", moving: true };
    if (!status.is_active) {
      return { text: `Stale, last point ${ago(age)}`, kind: "stale", moving: true };
    }
    return { text: push ? "Live" : "Polling", kind: "live", moving: true };
  }

  /** The machine's state: its word, and what else to say when it is no longer fresh. */
  function machine(status, age, seen) {
    if (!status || !status.streamed_points || age === null) {
      return { word: "Unknown", kind: "unknown", heard: "" };
    }
    const word = WORD[status.level] || "Unknown";
    const coming = status.is_active && seen < RECENT_SECONDS;
    if (age > RECENT_SECONDS && !coming) {
      return { word: "Unknown", kind: "unknown", heard: `was ${word} ${ago(age)}` };
    }
    return { word, kind: word.toLowerCase(), heard: age > 5 ? `as of ${ago(age)}` : "" };
  }

  /** The badge of a recording, with the day that it is of. */
  function recorded(at) {
    if (at === null || at === undefined) return "Playback";
    const date = { year: "numeric", month: "short", day: "numeric" };
    return `Playback, ${new Intl.DateTimeFormat(undefined, date).format(new Date(at))}`;
  }

  /** The machine's state at a moment of a recording. */
  function was(about) {
    if (!about) return { word: "Unknown", kind: "unknown", heard: "" };
    const word = WORD[about.level];
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const heard = `at ${new Intl.DateTimeFormat(undefined, time).format(new Date(about.at))}`;
    return { word: `was ${word}`, kind: word.toLowerCase(), heard };
  }

  /** "250 / 1,000", or "250" where no total is declared. */
  function count(status) {
    const streamed = whole.format(status.streamed_points);
    return status.total_points ? `${streamed} / ${whole.format(status.total_points)}` : streamed;
  }

  function score(value) {
    if (value === null || value === undefined) return "";
    if (value <= 1) return `score ${value.toFixed(2)} of its limit`;
    return `score ${value < 100 ? value.toFixed(1) : whole.format(Math.round(value))} × its limit`;
  }

  function rate(perSecond) {
    if (perSecond === null || perSecond === undefined) return "–";
    if (perSecond >= 0.95) return `${whole.format(Math.round(perSecond))} / s`;
    const perMinute = perSecond * 60;
    if (perMinute >= 0.95) return `${Math.round(perMinute)} / min`;
    return `${(perMinute * 60).toFixed(1)} / h`;
  }

  /** The local time with its zone; the date as well where it is not today's. */
  function clock(iso, now) {
    const moment = new Date(iso);
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" };
    const today = moment.toDateString() === now.toDateString();
    const date = today ? {} : { year: "numeric", month: "short", day: "numeric" };
    return new Intl.DateTimeFormat(undefined, { ...date, ...time }).format(moment);
  }

  /** "since 14:02", with the date where it is not today's; empty where it is not known. */
  function since(iso, now) {
    if (!iso) return "";
    const moment = new Date(iso);
    const time = { hour: "2-digit", minute: "2-digit" };
    const today = moment.toDateString() === now.toDateString();
    const year = moment.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    const date = today ? {} : { ...year, month: "short", day: "numeric" };
    return `since ${new Intl.DateTimeFormat(undefined, { ...date, ...time }).format(moment)}`;
  }

  /** "High · 2 open alerts", of a stream's status: the worst, and how many; empty where none is. */
  function alerts({ open, severity }) {
    if (!open) return "";
    const worst = severity[0].toUpperCase() + severity.slice(1);
    return `${worst} · ${whole.format(open)} open ${open === 1 ? "alert" : "alerts"}`;
  }

  /** What is drawn, where that is not everything. */
  function note({ drawn, streamed, outside }) {
    const parts = [];
    if (drawn < streamed) {
      parts.push(`showing ${whole.format(drawn)} of ${whole.format(streamed)}`);
    }
    if (outside) {
      parts.push(`${whole.format(outside)} ${outside === 1 ? "point" : "points"} outside the view`);
    }
    return parts.join(" · ");
  }

  /** Which buttons make sense, by the stream's state. */
  function actions(status) {
    const state = status ? status.status : "";
    return {
      start: state === "stopped" || state === "completed",
      pause: state === "streaming" || state === "not_started",
      resume: state === "paused",
      stop: state === "streaming" || state === "paused" || state === "not_started",
      reset: Boolean(status && status.streamed_points),
    };
  }

  window.dinsight = window.dinsight || {};
  window.dinsight.words = {
    span, ago, badge, machine, recorded, was, count, score, rate, clock, since, alerts, note,
    actions, whole,
  };
})();
