/* The score trend: its past comes from the server as buckets, and each point that arrives is added
   here. The server is asked again only once the run has grown, so no tick costs more for a long one.

   It tells `dinsight:hover` {epoch, seq}, or null, for the point under the pointer. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LEVELS = ["healthy", "warning", "alarm"];
  const NAMES = ["Healthy", "Warning", "Alarm"];
  const RECENT = 1000; // points that are kept one by one
  const AGAIN_MS = 5000;
  const LOST_MS = 12000;
  const GROWN = 10; // asked again once the run is longer by this part of it

  const now = () => window.performance.now();

  const choices = { span: "all", axis: "point" };
  let trend = fresh(null, null);
  let frame = null;
  let drawing = false;

  function fresh(view, epoch) {
    return {
      view,
      epoch,
      width: 1,
      past: null, // seq up to which the server has told; null before it has
      more: false, // the server has not read all of the past yet
      last: 0, // seq of the newest point
      warning: null,
      limit: 1,
      buckets: [],
      episodes: [],
      recent: [], // {seq, at, score, level} of the newest points
      asked: null,
      askedAt: -Infinity,
      hovered: null,
      selected: null,
      moment: null, // {seq, at} that a recording stands at; null where the stream is live
      told: "",
    };
  }

  /* ---- what arrives ---- */

  /** Another stream, or another run of it; what is selected is for others to say. */
  function begin(view, epoch) {
    const { selected } = trend;
    tellHover(null);
    trend = { ...fresh(view, epoch), selected };
  }

  /** A recording: all of it is known from the beginning. */
  function recorded(answer) {
    const { view } = dinsight.live.state();
    if (view !== trend.view || answer.epoch !== trend.epoch) begin(view, answer.epoch);
    trend.last = answer.last;
    answered({ ...answer, key: view.key, times: [] });
  }

  function moment(at) {
    trend.moment = at;
    redraw();
  }

  function arrive({ view, epoch, points, anew }) {
    if (view.playback) return;
    if (view !== trend.view || epoch !== trend.epoch) begin(view, epoch);
    else if (anew) trend.recent = [];
    const { status } = dinsight.live.state();
    const at = status.last_update ? Date.parse(status.last_update) : Date.now();
    trend.limit = status.alarm_limit || 1;
    for (const [seq, score, word] of points.about) {
      const point = { seq, at, score, level: LEVELS.indexOf(word) };
      trend.recent.push(point);
      trend.last = seq;
      if (trend.past !== null) add(point);
    }
    if (trend.recent.length > 2 * RECENT) trend.recent = trend.recent.slice(-RECENT);
    wantPast();
    redraw();
  }

  /** A point that came after what the server told: in the last bucket, or in a new one. */
  function add({ seq, at, score, level }) {
    const number = Math.floor((seq - 1) / trend.width);
    const last = trend.buckets[trend.buckets.length - 1];
    if (last && last.number === number) {
      if (score > last.high) [last.high, last.peak] = [score, seq];
      last.low = Math.min(last.low, score);
      last.level = Math.max(last.level, level);
    } else {
      trend.buckets.push({ number, low: score, high: score, peak: seq, level, at });
    }
    addToEpisode({ seq, at, score, level });
  }

  function addToEpisode({ seq, at, score, level }) {
    if (!level) return;
    const last = trend.episodes[trend.episodes.length - 1];
    if (last && last.level === level && last.last === seq - 1) {
      last.last = seq;
      last.until = at;
      if (score > last.peak) [last.peak, last.peak_seq] = [score, seq];
    } else {
      const seen = { first: seq, last: seq, began: at, until: at };
      trend.episodes.push({ level, ...seen, peak: score, peak_seq: seq });
    }
  }

  /** Ask for the past: at first, while there is more, and when the run has grown by a tenth. */
  function wantPast() {
    const { view, past } = trend;
    if (!view || view.kind !== "ready" || view.playback || !trend.last) return;
    if (trend.asked !== null && now() - trend.asked < LOST_MS) return;
    const grown = past === null || trend.more || trend.last - past >= Math.max(50, past / GROWN);
    const rested = past === null || trend.more || now() - trend.askedAt > AGAIN_MS;
    if (!grown || !rested || !document.getElementById("trend-plot")) return;
    trend.asked = trend.askedAt = now();
    const { key, baseline_id: id, stream } = view;
    const data = { key, baseline_id: id, stream, after: null, limit: 1 };
    dinsight.ask("trend-ask", "trend-answer", data).then(answered);
  }

  function answered(answer) {
    if (!answer || !trend.view || answer.key !== trend.view.key) return;
    trend.asked = null;
    if (answer.epoch !== trend.epoch) return;
    const [low, high] = [answer.low, answer.high].map((text) => dinsight.map.floats(text));
    const level = window.atob(answer.level);
    trend.buckets = answer.number.map((number, i) => ({
      number, low: low[i], high: high[i], peak: answer.peak[i], level: level.charCodeAt(i),
      at: answer.at[i],
    }));
    trend.episodes = answer.episodes;
    trend.width = answer.width;
    trend.warning = answer.warning;
    trend.limit = answer.limit;
    trend.past = answer.last;
    trend.more = answer.more;
    timed(answer);
    trend.recent.filter(({ seq }) => seq > answer.last).forEach(add);
    wantPast();
    redraw();
  }

  /** When each of the recent points came, of which the poll tells only the last one's time. */
  function timed({ times, last }) {
    const first = last - times.length + 1;
    for (const point of trend.recent) {
      if (point.seq >= first && point.seq <= last) point.at = times[point.seq - first];
    }
  }

  /* ---- what is shown ---- */

  function items() {
    const scaled = ({ low, high }) => ({ low: low / trend.limit, high: high / trend.limit });
    const all = choices.span === "all" || (trend.view && trend.view.playback);
    if (all && trend.past !== null) {
      return trend.buckets.map((each) => ({
        ...each, ...scaled(each), seq: Math.max(1, each.number * trend.width + 1),
      }));
    }
    const count = all ? RECENT : Number(choices.span);
    return trend.recent.slice(-count).map(({ seq, at, score, level }) => ({
      seq, at, level, peak: seq, ...scaled({ low: score, high: score }),
    }));
  }

  function redraw() {
    if (drawing) return;
    drawing = true;
    window.requestAnimationFrame(() => {
      drawing = false;
      show();
    });
  }

  function show() {
    const place = document.getElementById("trend-plot");
    if (!place) return;
    listen(place);
    const { hovered, warning, moment: stands } = trend;
    const selected = trend.selected && trend.selected.epoch === trend.epoch
      ? trend.selected.seq : null;
    const shown = items();
    const byTime = choices.axis === "time";
    const view = { items: shown, byTime, newest: trend.last, warning, hovered, selected, stands };
    frame = dinsight.trendPlot.draw(place.firstElementChild, view);
    const drawn = { frame, items: shown, epoch: trend.epoch };
    document.dispatchEvent(new CustomEvent("dinsight:trend", { detail: drawn }));
    const at = dinsight.trendPlot.find(shown, hovered === null ? here() : hovered);
    say(place, shown[at]);
    listEpisodes();
  }

  /** The seq of the newest point that is looked at. */
  const here = () => (trend.moment ? trend.moment.seq : trend.last);

  /** The item in words: beside the title, and to a screen reader as the slider's value. */
  function say(place, item) {
    const text = item ? words(item) : "no point yet";
    place.setAttribute("aria-valuemin", trend.last ? 1 : 0);
    place.setAttribute("aria-valuemax", trend.last);
    place.setAttribute("aria-valuenow", item ? item.peak : 0);
    place.setAttribute("aria-valuetext", text);
    const about = document.getElementById("trend-about");
    const shown = trend.hovered !== null && item ? text : "";
    if (about.textContent !== shown) about.textContent = shown;
  }

  function words({ peak, at, high, level }) {
    const name = `point ${dinsight.words.whole.format(peak)}`;
    const clock = dinsight.words.clock(at, new Date());
    return [name, dinsight.words.score(high), LEVELS[level], clock].join(" · ");
  }

  function listEpisodes() {
    const { episodes, limit, last } = trend;
    const open = episodes.length && episodes[episodes.length - 1].last === last;
    const reading = trend.past === null && last > 0;
    const told = JSON.stringify([reading, episodes, open, limit]);
    if (trend.told === told) return;
    trend.told = told;
    const title = document.getElementById("trend-episodes-title");
    title.textContent = reading ? "Reading the run …"
      : !episodes.length ? "No warning or alarm in this run"
      : `Warnings and alarms (${episodes.length}): ${sentence(episodes[episodes.length - 1])}`;
    title.parentElement.classList.toggle("none", !episodes.length);
    const list = document.getElementById("trend-episodes");
    list.replaceChildren(...[...episodes].reverse().slice(0, 100).map(item));
  }

  function item(episode) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `episode-${LEVELS[episode.level]}`;
    button.textContent = sentence(episode);
    button.addEventListener("click", () => select(episode.peak_seq));
    const place = document.createElement("li");
    place.append(button);
    return place;
  }

  /** "Alarm since 14:02, peak 3.4 × its limit", or from when to when it was. */
  function sentence({ level, began, until, last, peak }) {
    const when = last === trend.last && !trend.view.playback
      ? `since ${time(began)}` : `from ${time(began)} to ${time(until)}`;
    const words = dinsight.words.score(peak / trend.limit).replace("score ", "");
    return `${NAMES[level]} ${when}, peak ${words}`;
  }

  /** "14:02"; with the date where it is not today's. */
  function time(at) {
    const moment = new Date(at);
    const today = moment.toDateString() === new Date().toDateString();
    const date = today ? {} : { month: "short", day: "numeric" };
    const form = { ...date, hour: "2-digit", minute: "2-digit" };
    return new Intl.DateTimeFormat(undefined, form).format(moment);
  }

  /* ---- pointing at it ---- */

  function listen(place) {
    if (place.dataset.listens) return;
    place.dataset.listens = "yes";
    place.addEventListener("pointermove", (event) => point(at(event)));
    place.addEventListener("pointerleave", () => point(-1));
    place.addEventListener("blur", () => point(-1));
    place.addEventListener("click", (event) => {
      const found = items()[at(event)];
      if (found) select(found.peak);
    });
    place.addEventListener("keydown", keyed);
    new ResizeObserver(redraw).observe(place);
  }

  function at(event) {
    const { left } = event.currentTarget.getBoundingClientRect();
    return frame ? dinsight.trendPlot.nearest(frame, event.clientX - left) : -1;
  }

  const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

  /** As a slider: arrows to the next point, Home and End to the ends, Enter selects. */
  function keyed(event) {
    const shown = items();
    if (!shown.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = dinsight.trendPlot.find(shown, trend.hovered === null ? here() : trend.hovered);
    if (event.key in STEPS) {
      const next = trend.hovered === null ? index : index + STEPS[event.key];
      point(Math.min(shown.length - 1, Math.max(0, next)));
    } else if (event.key === "Home") point(0);
    else if (event.key === "End") point(shown.length - 1);
    else if (event.key === "Enter" && index >= 0) select(shown[index].peak);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function point(index) {
    const found = index < 0 ? null : items()[index];
    tellHover(found ? { epoch: trend.epoch, seq: found.peak } : null);
  }

  function tellHover(detail) {
    if (!detail && trend.hovered === null) return;
    document.dispatchEvent(new CustomEvent("dinsight:hover", { detail }));
  }

  /** Look at a point; of a recording, at the moment when it came. */
  function select(seq) {
    if (dinsight.playback.on()) return dinsight.playback.go(seq);
    const detail = { epoch: trend.epoch, seq };
    document.dispatchEvent(new CustomEvent("dinsight:select", { detail }));
  }

  /* ---- how it is shown, as chosen on this device ---- */

  const KEY = "dinsight.trend.";

  function renew() {
    for (const name of Object.keys(choices)) {
      const select = document.getElementById(`trend-${name}`);
      const kept = dinsight.shell.recall(KEY + name);
      if (!select) continue;
      if ([...select.options].some(({ value }) => value === kept)) choices[name] = kept;
      select.value = choices[name];
    }
  }

  function choose(name, value) {
    choices[name] = value;
    dinsight.shell.remember(KEY + name, value);
    redraw();
  }

  /** The point with the highest score of the newest `count`; null before there is one. */
  function worst(count) {
    const newest = trend.recent.slice(-count);
    if (!newest.length) return null;
    const found = newest.reduce((most, each) => (each.score > most.score ? each : most));
    return { epoch: trend.epoch, seq: found.seq };
  }

  function newest() {
    return trend.last ? { epoch: trend.epoch, seq: trend.last } : null;
  }

  document.addEventListener("dinsight:opened", ({ detail }) => {
    begin(detail.view, null);
    renew();
    redraw();
  });
  document.addEventListener("dinsight:points", ({ detail }) => arrive(detail));
  document.addEventListener("dinsight:status", ({ detail }) => {
    const { alarm_limit: limit } = detail.status;
    if (limit === trend.limit) return;
    trend.limit = limit || 1;
    redraw();
  });
  document.addEventListener("dinsight:hover", ({ detail }) => {
    trend.hovered = detail && detail.epoch === trend.epoch ? detail.seq : null;
    redraw();
  });
  document.addEventListener("dinsight:select", ({ detail }) => {
    trend.selected = detail;
    redraw();
  });
  document.addEventListener("dinsight:theme", redraw);
  document.addEventListener("change", ({ target: { id, value } }) => {
    if (id === "trend-span" || id === "trend-axis") choose(id.slice("trend-".length), value);
  });

  dinsight.trend = { worst, newest, recorded, moment, state: () => trend };
})();
