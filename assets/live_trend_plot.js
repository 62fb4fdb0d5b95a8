/* Drawing the score trend on a canvas: a second Plotly graph would cost a tick more than the map
   leaves room for, and this draws 600 buckets within a millisecond or two.

   Items are {seq, at, low, high, peak, level}, scores in units of the alarm limit, oldest first:
   one point, or a bucket of many with the seq of its highest. Knows nothing of the server. */
(function () {
  "use strict";

  const ROOM = { left: 38, right: 10, top: 16, bottom: 20 };
  const BASE = 0.5; // of the height for scores up to the alarm limit; above it is logarithmic
  const TOPS = [2, 5, 10, 100, 1e3, 1e4, 1e5, 1e6];
  const TICKS = [0.5, 2, 5, 10, 100, 1e3, 1e4, 1e5, 1e6];
  const NAMES = ["", "Warning", "Alarm"];
  const LABELS_APART = 14;

  let colours = null;
  const patterns = {};

  function palette(canvas) {
    if (colours) return colours;
    const style = getComputedStyle(canvas);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    colours = {
      ink: of("text-2"), text: of("text"), grid: of("line"), accent: of("accent"),
      line: of("trend-line"), band: of("trend-band"), surface: of("surface"),
      levels: ["", of("warning"), of("alarm")],
      font: `12px ${style.fontFamily}`,
    };
    return colours;
  }

  /** The share of the height at which a score stands: even a million leaves the healthy visible. */
  function height(score, top) {
    if (score <= 1) return BASE * Math.max(0, score);
    return BASE + (1 - BASE) * Math.min(1, Math.log(score) / Math.log(top));
  }

  /** Draw, and give back where each item stands: what `nearest` needs. */
  function draw(canvas, { items, byTime, newest, warning, hovered, selected, stands }) {
    const box = canvas.parentElement.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, tall] = [Math.round(box.width), Math.round(box.height)];
    if (!width || !tall) return null;
    if (canvas.width !== width * ratio || canvas.height !== tall * ratio) {
      canvas.width = width * ratio;
      canvas.height = tall * ratio;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, tall);
    const frame = framed(items, byTime, width, tall);
    const paint = { context, frame, colours: palette(canvas), items };
    context.font = paint.colours.font;
    context.lineJoin = "round";
    shadeLevels(paint);
    scale(paint, byTime ? null : newest);
    line(paint);
    limits(paint, warning);
    outliers(paint);
    if (stands) cursor(paint, byTime ? stands.at : stands.seq);
    mark(paint, hovered, false);
    mark(paint, selected, true);
    return frame;
  }

  function framed(items, byTime, width, tall) {
    const highest = items.reduce((most, item) => Math.max(most, item.high), 0);
    const top = TOPS.find((each) => each >= highest) || TOPS[TOPS.length - 1];
    const of = byTime ? (item) => item.at : (item) => item.seq;
    const first = items.length ? of(items[0]) : 0;
    const last = items.length ? of(items[items.length - 1]) : 1;
    const span = Math.max(last - first, byTime ? 1000 : 1);
    const wide = width - ROOM.left - ROOM.right;
    const x = (value) => ROOM.left + ((value - first) / span) * wide;
    const y = (score) => tall - ROOM.bottom
      - height(score, top) * (tall - ROOM.top - ROOM.bottom);
    return { x, y, xs: items.map((item) => x(of(item))), top, first, last, width, tall };
  }

  /** Episodes: shaded with a pattern of their level and named, so that none is told by colour. */
  function shadeLevels({ context, frame, colours: c, items }) {
    let from = 0;
    for (let i = 1; i <= items.length; i += 1) {
      if (i < items.length && items[i].level === items[from].level) continue;
      const { level } = items[from];
      if (level) {
        const left = from ? (frame.xs[from - 1] + frame.xs[from]) / 2 : ROOM.left;
        const right = i < items.length ? (frame.xs[i - 1] + frame.xs[i]) / 2 : frame.xs[i - 1];
        const wide = Math.max(3, right - left);
        context.fillStyle = pattern(context, level, c.levels[level]);
        context.fillRect(left, ROOM.top, wide, frame.tall - ROOM.top - ROOM.bottom);
        context.fillStyle = c.levels[level];
        context.fillRect(left, ROOM.top - 2, wide, level === 2 ? 3 : 1.5);
        name(context, level, left, wide);
      }
      from = i;
    }
  }

  function name(context, level, left, wide) {
    const text = [NAMES[level], NAMES[level][0]].find((t) => context.measureText(t).width < wide);
    if (!text) return;
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.fillText(text, left, ROOM.top - 3);
  }

  /** Lines for an alarm, dots for a warning. */
  function pattern(context, level, colour) {
    if (patterns[level]) return patterns[level];
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const inner = tile.getContext("2d");
    inner.globalAlpha = 0.13;
    inner.fillStyle = inner.strokeStyle = colour;
    inner.fillRect(0, 0, 8, 8);
    inner.globalAlpha = 0.5;
    if (level === 2) {
      inner.beginPath();
      for (const shift of [-8, 0, 8]) {
        inner.moveTo(shift - 1, 9);
        inner.lineTo(shift + 9, -1);
      }
      inner.stroke();
    } else inner.fillRect(3, 3, 2, 2);
    patterns[level] = context.createPattern(tile, "repeat");
    return patterns[level];
  }

  /** `newest` is the seq that the axis ends with; null where it is one of time. */
  function scale({ context, frame, colours: c }, newest) {
    context.strokeStyle = c.grid;
    context.fillStyle = c.ink;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    let above = frame.y(1);
    tick(context, frame, 0);
    tick(context, frame, 1);
    for (const value of TICKS.filter((each) => each <= frame.top)) {
      const y = frame.y(value);
      if (value > 1 && above - y < LABELS_APART) continue;
      if (value > 1) above = y;
      tick(context, frame, value);
    }
    context.textBaseline = "bottom";
    const words = newest === null ? clock(frame) : whole;
    context.textAlign = "left";
    context.fillText(words(frame.first), ROOM.left, frame.tall - 2);
    context.textAlign = "right";
    context.fillText(words(newest === null ? frame.last : newest), frame.width - ROOM.right, frame.tall - 2);
  }

  function tick(context, frame, value) {
    const y = Math.round(frame.y(value)) + 0.5;
    context.beginPath();
    context.moveTo(ROOM.left, y);
    context.lineTo(frame.width - ROOM.right, y);
    context.stroke();
    context.fillText(value < 1e4 ? String(value) : value.toExponential(0).replace("+", ""),
      ROOM.left - 6, y);
  }

  const whole = (number) => window.dinsight.words.whole.format(number);

  function clock({ first, last }) {
    const days = last - first > 20 * 3600e3;
    const form = new Intl.DateTimeFormat(undefined, days
      ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }
      : { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    return (at) => form.format(at);
  }

  function line({ context, frame, colours: c, items }) {
    if (!items.length) return;
    const each = (of) => items.forEach((item, i) => context.lineTo(frame.xs[i], frame.y(of(item))));
    context.beginPath();
    each((item) => item.high);
    for (let i = items.length - 1; i >= 0; i -= 1) {
      context.lineTo(frame.xs[i], frame.y(items[i].low));
    }
    context.fillStyle = c.band;
    context.fill();
    context.beginPath();
    each((item) => item.high);
    context.strokeStyle = c.line;
    context.lineWidth = 1.5;
    context.stroke();
    if (items.length > 150) return;
    context.fillStyle = c.line;
    context.beginPath();
    items.forEach((item, i) => {
      context.moveTo(frame.xs[i], frame.y(item.high));
      context.arc(frame.xs[i], frame.y(item.high), 2.5, 0, 7);
    });
    context.fill();
  }

  /** Both limits, each with its name at its end. */
  function limits({ context, frame, colours: c }, warning) {
    const lines = [["alarm limit", 1, [], "bottom", 2], ["warning limit", warning, [6, 4], "top", 1]];
    const names = [];
    context.textAlign = "left";
    for (const [text, at, dash, baseline, level] of lines) {
      if (!at) continue;
      const y = Math.round(frame.y(at)) + 0.5;
      context.strokeStyle = c.levels[level];
      context.lineWidth = 1.5;
      context.setLineDash(dash);
      context.beginPath();
      context.moveTo(ROOM.left, y);
      context.lineTo(frame.width - ROOM.right, y);
      context.stroke();
      context.setLineDash([]);
      names.push([text, y + (baseline === "top" ? 3 : -2), baseline, c.levels[level]]);
    }
    for (const [text, y, baseline, colour] of names) {
      context.textBaseline = baseline;
      label(context, c, text, ROOM.left + 4, y, colour);
    }
  }

  function label(context, c, text, x, y, colour) {
    const down = context.textBaseline === "top" ? 0 : -13;
    context.globalAlpha = 0.85;
    context.fillStyle = c.surface;
    context.fillRect(x - 2, y + down, context.measureText(text).width + 4, 13);
    context.globalAlpha = 1;
    context.fillStyle = colour;
    context.fillText(text, x, y);
  }

  /** A score beyond the scale is drawn at its end, with an arrow that says so. */
  function outliers({ context, frame, colours: c, items }) {
    context.fillStyle = c.text;
    items.forEach((item, i) => {
      if (item.high <= frame.top) return;
      const [x, y] = [frame.xs[i], frame.y(frame.top)];
      context.beginPath();
      context.moveTo(x, y - 6);
      context.lineTo(x - 4, y + 2);
      context.lineTo(x + 4, y + 2);
      context.fill();
    });
  }

  /** Where a recording stands; what came later is paler. */
  function cursor({ context, frame, colours: c }, value) {
    const at = Math.min(frame.width - ROOM.right, Math.max(ROOM.left, frame.x(value)));
    const tall = frame.tall - ROOM.top - ROOM.bottom;
    context.globalAlpha = 0.55;
    context.fillStyle = c.surface;
    context.fillRect(at, ROOM.top, frame.width - ROOM.right - at, tall);
    context.globalAlpha = 1;
    context.fillStyle = c.accent;
    context.fillRect(at - 1, ROOM.top - 6, 2, tall + 6);
    context.beginPath();
    context.moveTo(at - 5, ROOM.top - 10);
    context.lineTo(at + 5, ROOM.top - 10);
    context.lineTo(at, ROOM.top - 2);
    context.fill();
  }

  function mark({ context, frame, colours: c, items }, seq, chosen) {
    const at = seq === null ? -1 : find(items, seq);
    if (at < 0) return;
    const [x, y] = [frame.xs[at], frame.y(items[at].high)];
    context.strokeStyle = chosen ? c.accent : c.ink;
    context.lineWidth = chosen ? 2 : 1;
    context.beginPath();
    context.moveTo(x, ROOM.top);
    context.lineTo(x, frame.tall - ROOM.bottom);
    context.stroke();
    context.beginPath();
    context.arc(x, y, chosen ? 6 : 5, 0, 7);
    context.fillStyle = c.surface;
    context.fill();
    context.stroke();
  }

  /** Which item a point is in: the last that does not begin after it; -1 where there is none. */
  function find(items, seq) {
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (items[middle].seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The item that is nearest to so many pixels from the left; -1 where there is none. */
  function nearest(frame, x) {
    let best = -1;
    frame.xs.forEach((at, i) => {
      if (best < 0 || Math.abs(at - x) < Math.abs(frame.xs[best] - x)) best = i;
    });
    return best;
  }

  document.addEventListener("dinsight:theme", () => {
    colours = null;
    for (const level of Object.keys(patterns)) delete patterns[level];
  });

  window.dinsight = window.dinsight || {};
  window.dinsight.trendPlot = { draw, find, nearest, height };
})();
