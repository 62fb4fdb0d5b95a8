/* Moments of a recording: pure functions of its timeline, as the server tells it.

   `line` is that of `GET /streaming/{id}/timeline`, its trend's texts unpacked to arrays. */
(function () {
  "use strict";

  const LEVELS = ["healthy", "warning", "alarm"];
  const NAMES = ["Healthy", "Warning", "Alarm"];
  const BURST_MS = 5; // a point: what came faster came all at once
  const LONG = 10; // times the usual gap between points
  const WAIT_MS = 2000; // that somebody who looks on may wait for a point

  /** "60" is sixty times as fast as it came, "10r" ten rows a second. */
  function speed(text) {
    const value = parseFloat(text);
    return text.endsWith("r") ? { rows: value, times: null } : { rows: null, times: value };
  }

  /** The bucket that a point is in: the last that does not begin after it. */
  function bucket({ trend }, seq) {
    const number = Math.floor((seq - 1) / trend.width);
    let [low, high] = [0, trend.number.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (trend.number[middle] <= number) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** What the timeline knows of a point by itself: about when, how high, how bad. */
  function about(line, seq) {
    const { trend } = line;
    if (!trend.number.length) return null;
    const i = bucket(line, seq);
    const begins = Math.max(line.first_seq, trend.number[i] * trend.width + 1);
    const ends = i + 1 < trend.number.length ? trend.number[i + 1] * trend.width + 1 : line.last_seq;
    const until = i + 1 < trend.number.length ? trend.at[i + 1] : Date.parse(line.last_point_at);
    const part = ends > begins ? Math.min(1, (seq - begins) / (ends - begins)) : 0;
    const at = trend.at[i] + part * (until - trend.at[i]);
    return { seq, at, score: trend.high[i], level: LEVELS[trend.level[i]], exact: false };
  }

  /** The alarm limit that a point was judged by; the line's, where it was not kept. */
  function limit(line, seq) {
    const known = line.limits.filter(([first]) => first <= seq);
    return known.length ? known[known.length - 1][1] : line.limit;
  }

  /** Where there is something to jump to, in order: alerts, and where warnings and alarms begin. */
  function targets(line) {
    const found = line.alerts.map(({ opened_seq: seq, title, severity }) => ({
      seq, text: `${title} (${severity})`, alert: true,
    }));
    const taken = new Set(found.map(({ seq }) => seq));
    const rises = [...line.trend.episodes.map(({ first, level }) => [first, level]), ...early(line)];
    for (const [seq, level] of rises) {
      if (!taken.has(seq)) found.push({ seq, text: NAMES[level], alert: false });
    }
    return found
      .filter(({ seq }) => seq >= line.first_seq && seq <= line.last_seq)
      .sort((one, other) => one.seq - other.seq);
  }

  /** Rises from before the first episode that is listed: of those only the buckets tell. */
  function early({ trend }) {
    const { number, level, peak, episodes, width } = trend;
    const listed = episodes.length ? Math.floor((episodes[0].first - 1) / width) : Infinity;
    const rises = number.map((_, i) => i)
      .filter((i) => number[i] < listed && level[i] > (i ? level[i - 1] : 0));
    return rises.map((i) => [peak[i], level[i]]);
  }

  const next = (list, seq) => list.find((each) => each.seq > seq) || null;
  const previous = (list, seq) => list.findLast((each) => each.seq < seq) || null;

  /** The alerts that were active at a point. */
  function active(line, seq) {
    return line.alerts.filter(({ opened_seq: from, cleared_seq: to, cleared_at: at }) =>
      from <= seq && (to === null ? at === null : seq < to));
  }

  /** Whether the points came all at once, so that their times say nothing. */
  function burst(line) {
    const count = line.last_seq - line.first_seq;
    const span = Date.parse(line.last_point_at) - Date.parse(line.first_point_at);
    return count > 0 && span / count < BURST_MS;
  }

  /** The milliseconds of a recording without a point that are too long to sit through. */
  function longest(usual, times) {
    return Math.max(LONG * usual, WAIT_MS * times);
  }

  /** The usual gap between points that did not come together. */
  function usual(at) {
    const gaps = [];
    for (let i = 1; i < at.length; i += 1) if (at[i] > at[i - 1]) gaps.push(at[i] - at[i - 1]);
    gaps.sort((one, other) => one - other);
    return gaps.length ? gaps[gaps.length >> 1] : 0;
  }

  window.dinsight = window.dinsight || {};
  window.dinsight.moments = {
    speed, about, limit, targets, next, previous, active, burst, longest, usual, LEVELS,
  };
})();
