/* What part of the map is shown: it widens for a point outside of it, and stays where a person has
   put it, unless it follows the newest points.

   Both axes have one scale. Plotly keeps it by giving up room, never by changing a range, so a zoom
   stays exactly what it was; the ranges set here are shaped to fill the room. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const ROOM = 0.15; // free room, of the range, when the view widens for a point outside it
  const WIDEST = 20; // times the first range: beyond that a point is pointed at, not followed
  const CALM = 0.3; // of the range: the newest may come so near to its ends before it moves on
  const NEWEST = 10; // points that are followed
  const UNSEEN = 0.1; // px

  /** The view of the figure that the plot shows; a zoom lives as long as the stream is the same. */
  function watch(gd) {
    const { meta, uirevision: revision } = gd.layout;
    const before = gd.dinsightView;
    if (before && before.key === meta.key) return before;
    if (!before) {
      gd.on("plotly_relayout", (change) => relaid(gd, change));
      gd.on("plotly_relayouting", () => moved(gd));
    }
    const same = before && before.revision === revision;
    const first = same ? before.first : meta.ranges;
    const images = gd.layout.images || [];
    gd.dinsightView = { key: meta.key, revision, first, images, moved: same && before.moved };
    if (!gd.dinsightView.moved) fit(gd);
    return gd.dinsightView;
  }

  /** Frame a figure that is about to be drawn as `fit` would; one that somebody has moved stays. */
  function compose(figure, place, points) {
    const { meta, margin, uirevision: revision, xaxis, yaxis } = figure.layout;
    const before = (dinsight.map.div() || {}).dinsightView;
    if (before && before.revision === revision && before.moved) return;
    const room = { w: place.clientWidth - margin.l - margin.r, h: place.clientHeight - margin.t - margin.b };
    if (room.w <= 0 || room.h <= 0) return;
    const wanted = filled(room, held(meta.ranges, points));
    [xaxis.range, yaxis.range] = [wanted.x, wanted.y];
  }

  function relaid(gd, change) {
    const view = gd.dinsightView;
    if ("xaxis.autorange" in change || "yaxis.autorange" in change) {
      fit(gd);
    } else if (Object.keys(change).some((name) => /^[xy]axis\.range/.test(name))) {
      if (String(change["xaxis.range"]) !== view.ours) {
        view.moved = true; // until it is fitted again, also while it goes after the newest
        document.dispatchEvent(new CustomEvent("dinsight:moved"));
      }
    } else if ("autosize" in change && !view.moved) {
      fit(gd);
      if (view.following) accompany(gd, { x: [], y: [] }, true);
    }
    moved(gd);
  }

  /** What lies over the map has to move with it. */
  function moved(gd) {
    document.dispatchEvent(new CustomEvent("dinsight:framed", { detail: gd }));
  }

  function ranges(gd) {
    const { xaxis, yaxis } = gd._fullLayout;
    return { x: xaxis.range.map(Number), y: yaxis.range.map(Number) };
  }

  /** These ranges, the one with room to spare widened to fill the plot. */
  function filled({ w, h }, { x, y }) {
    const scale = Math.max((x[1] - x[0]) / w, (y[1] - y[0]) / h);
    return { x: around(x, scale * w), y: around(y, scale * h) };
  }

  function around([low, high], width) {
    const middle = (low + high) / 2;
    return [middle - width / 2, middle + width / 2];
  }

  function show(gd, wanted) {
    put(gd, filled(gd._fullLayout._size, wanted));
  }

  /** By relayout: Dash's graph forgets at the next one what was put into the layout by hand. */
  function put(gd, { x, y }) {
    gd.dinsightView.ours = String(x);
    if (isShown(gd, { x, y })) return;
    window.Plotly.relayout(gd, { "xaxis.range": x, "yaxis.range": y });
  }

  /** Whether these ranges are those that are shown, to less than can be seen. */
  function isShown(gd, { x, y }) {
    const { w, h } = gd._fullLayout._size;
    const shown = ranges(gd);
    const off = (wanted, [low, high], pixels) =>
      wanted.some((end, i) => Math.abs(end - [low, high][i]) * pixels > UNSEEN * (high - low));
    return !off(x, shown.x, w) && !off(y, shown.y, h);
  }

  /** Before points are drawn: make room for them, or go after the newest. */
  function accompany(gd, points, following) {
    const view = watch(gd);
    view.following = following;
    if (following) follow(gd, dinsight.map.live(gd), points);
    else if (!view.moved) widen(gd, points);
  }

  function widen(gd, points) {
    const { first } = gd.dinsightView;
    const shown = ranges(gd);
    const x = reach(shown.x, points.x, first.x);
    const y = reach(shown.y, points.y, first.y);
    if (x || y) show(gd, { x: x || shown.x, y: y || shown.y });
  }

  /** Move, without a zoom, only when the newest points are about to leave. */
  function follow(gd, before, points) {
    const newest = (name) => before[name].slice(-NEWEST).concat(points[name]).slice(-NEWEST);
    const [x, y] = [newest("x"), newest("y")];
    if (!x.length) return;
    const shown = ranges(gd);
    const next = { x: after(shown.x, x), y: after(shown.y, y) };
    if (next.x || next.y) put(gd, { x: next.x || shown.x, y: next.y || shown.y });
  }

  /** The range around the middle one of the values, if that is near an end of it; else null. */
  function after([low, high], values) {
    const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const edge = CALM * (high - low);
    if (middle >= low + edge && middle <= high - edge) return null;
    return around([middle, middle], high - low);
  }

  /** The range that also holds the values, with some room; null if it holds them already. */
  function reach([low, high], values, [firstLow, firstHigh]) {
    const far = ((WIDEST - 1) / 2) * (firstHigh - firstLow);
    let [least, most] = [low, high];
    for (const value of values) {
      if (value < least && value >= firstLow - far) least = value;
      if (value > most && value <= firstHigh + far) most = value;
    }
    if (least === low && most === high) return null;
    const room = ROOM * (most - least);
    return [least < low ? least - room : low, most > high ? most + room : high];
  }

  /** Show the baseline and every point that is not too far away. */
  function fit(gd) {
    gd.dinsightView.moved = false;
    show(gd, held(gd.dinsightView.first, dinsight.map.live(gd)));
  }

  /** The first ranges, widened for the points that are not too far away. */
  function held(first, { x, y }) {
    return { x: reach(first.x, x, first.x) || first.x, y: reach(first.y, y, first.y) || first.y };
  }

  /** Show the newest of some points, and the others of them that are not far from it. */
  function lead(gd, { x, y }) {
    const last = x.length - 1;
    const shown = ranges(gd);
    const here = (range, values) => {
      const wide = range[1] - range[0];
      const near = values.filter((value) => Math.abs(value - values[last]) < WIDEST * wide);
      const [low, high] = [Math.min(...near), Math.max(...near)];
      return around([low, high], Math.max(wide, (high - low) * (1 + 2 * ROOM)));
    };
    const wanted = filled(gd._fullLayout._size, { x: here(shown.x, x), y: here(shown.y, y) });
    document.dispatchEvent(new CustomEvent("dinsight:moved"));
    window.Plotly.relayout(gd, { "xaxis.range": wanted.x, "yaxis.range": wanted.y });
  }

  /** The drawn points of the stream that lie outside of what is shown, by the side they are on. */
  function outside(gd) {
    const shown = ranges(gd);
    const [middle, half] = [shown.x, shown.y].reduce(
      ([m, h], [low, high]) => [[...m, (low + high) / 2], [...h, (high - low) / 2]], [[], []],
    );
    const sides = {};
    const { x, y } = dinsight.map.live(gd);
    for (let i = 0; i < x.length; i += 1) {
      const [right, up] = [(x[i] - middle[0]) / half[0], (y[i] - middle[1]) / half[1]];
      const away = Math.max(Math.abs(right), Math.abs(up));
      if (away <= 1) continue;
      const level = Math.abs(right) === away;
      const side = level ? (right > 0 ? "right" : "left") : up > 0 ? "up" : "down";
      const those = (sides[side] = sides[side] || { x: [], y: [], at: 0 });
      those.x.push(x[i]);
      those.y.push(y[i]);
      those.at = (level ? up : right) / away; // where the way to the newest crosses the border
    }
    return sides;
  }

  dinsight.frame = { watch, compose, ranges, accompany, fit, lead, outside, reach };
})();
