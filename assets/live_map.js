/* Drawing on the map. The server makes the figure (layouts/figures.py); this extends its traces.

   Nothing here asks the server for anything or knows what a poll is. */
(function () {
  "use strict";

  const RING = 7; // px that the ring of a newest point is wider than the point
  const ROOM = 0.15; // free room, of the range, when the view widens for a point outside it
  const WIDEST = 20; // times the first range: beyond that a point is counted, not followed
  const LEVELS = ["healthy", "warning", "alarm"];

  function div() {
    return document.querySelector("#live-map .js-plotly-plot");
  }

  /** The plot, once it shows the figure of this opening of the page; else null. */
  function ready(key) {
    const gd = div();
    const drawn = gd && gd._fullLayout && gd.data && gd.data.length;
    return drawn && gd.layout.meta && gd.layout.meta.key === key ? gd : null;
  }

  function index(gd, name) {
    return gd.data.findIndex((trace) => trace.name === name);
  }

  function bytes(text) {
    return Uint8Array.from(window.atob(text), (character) => character.charCodeAt(0));
  }

  /** Base64 of little-endian float32 as a plain array: Plotly cannot extend a typed one. */
  function floats(text) {
    const view = new DataView(bytes(text).buffer);
    return Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  /** The points of a packed message from the `skip`th on. */
  function unpack(message, skip) {
    const [x, y, score] = [message.x, message.y, message.score].map((text) => floats(text));
    const level = bytes(message.level);
    const inside = window.dinsight.detection.flags(message) || [];
    const about = x.map((_, i) => {
      return [message.first + i, score[i], LEVELS[level[i]], inside[i] ?? null];
    });
    return { x: x.slice(skip), y: y.slice(skip), about: about.slice(skip) };
  }

  /**
   * Add points; the oldest beyond `cap` go, and the rings move on to the newest `glow`. One call
   * for both traces, because every call recalculates the whole plot.
   */
  function extend(gd, points, { cap, glow }) {
    widen(gd, points);
    const newest = (values) => values.slice(Math.max(0, values.length - glow));
    const both = (values) => [values, newest(values)];
    window.dinsight.detection.mark(gd.data[index(gd, "Monitor")], points.about, cap);
    window.Plotly.extendTraces(
      gd,
      { x: both(points.x), y: both(points.y), customdata: both(points.about) },
      [index(gd, "Monitor"), index(gd, "Latest")],
      { x: [cap, glow], y: [cap, glow], customdata: [cap, glow] },
    );
  }

  function ring(gd, glow) {
    const { x, y, customdata } = gd.data[index(gd, "Monitor")];
    const [nx, ny, about] = [x, y, customdata].map((v) => v.slice(Math.max(0, v.length - glow)));
    const change = { x: [nx], y: [ny], customdata: [about] };
    window.Plotly.restyle(gd, change, [index(gd, "Latest")]);
  }

  function clear(gd) {
    const empty = { x: [[], []], y: [[], []], customdata: [[], []] };
    window.Plotly.restyle(gd, empty, [index(gd, "Monitor"), index(gd, "Latest")]);
    const none = { x: [[]], y: [[]], z: [[]], visible: false };
    window.Plotly.restyle(gd, none, [index(gd, "Monitor density")]);
    if (!watch(gd).moved) fit(gd);
  }

  function drawn(gd) {
    return gd.data[index(gd, "Monitor")].x.length;
  }

  function size(gd, pixels) {
    const points = [index(gd, "Baseline"), index(gd, "Monitor")];
    window.Plotly.restyle(gd, { "marker.size": pixels }, points);
    window.Plotly.restyle(gd, { "marker.size": pixels + RING }, [index(gd, "Latest")]);
  }

  /** Show or hide the contours of both sets; a set without a density has nothing to show. */
  function contours(gd, shown) {
    for (const name of ["Baseline density", "Monitor density"]) {
      const at = index(gd, name);
      const visible = shown && gd.data[at].z.length > 0;
      if (gd.data[at].visible !== visible) window.Plotly.restyle(gd, { visible }, [at]);
    }
  }

  /** The monitor points' density, as the server binned it: z is base64 of 0 to 255, row by row. */
  function density(gd, grid, shown) {
    const values = Array.from(bytes(grid.z), (level) => level / 255);
    const width = grid.x.length;
    const z = grid.y.map((_, row) => values.slice(row * width, (row + 1) * width));
    const change = { x: [grid.x], y: [grid.y], z: [z], visible: shown };
    window.Plotly.restyle(gd, change, [index(gd, "Monitor density")]);
  }

  function dress(gd, theme) {
    for (const [name, change] of Object.entries(theme.traces)) {
      window.Plotly.restyle(gd, change, [index(gd, name)]);
    }
    window.Plotly.relayout(gd, theme.layout);
  }

  /* ---- the view: it widens for a point outside of it, and stays where a person has put it ----

     Both axes have one scale. Plotly keeps it by giving up room, never by changing a range, so a
     zoom stays exactly what it was; the ranges set here are shaped to fill the room. */

  /** The view of the figure that the plot shows; a zoom lives as long as the stream is the same. */
  function watch(gd) {
    const { meta, uirevision: revision } = gd.layout;
    const before = gd.dinsightView;
    if (before && before.key === meta.key) return before;
    if (!before) gd.on("plotly_relayout", (change) => relaid(gd, change));
    const same = before && before.revision === revision;
    const first = same ? before.first : ranges(gd);
    gd.dinsightView = { key: meta.key, revision, first, moved: Boolean(same && before.moved) };
    if (!gd.dinsightView.moved) fit(gd);
    return gd.dinsightView;
  }

  function relaid(gd, change) {
    const view = gd.dinsightView;
    if ("xaxis.autorange" in change || "yaxis.autorange" in change) {
      view.moved = false;
      fit(gd);
    } else if (Object.keys(change).some((name) => /^[xy]axis\.range/.test(name))) {
      view.moved = String(change["xaxis.range"]) !== view.ours;
    } else if ("autosize" in change && !view.moved) {
      fit(gd);
    }
  }

  function ranges(gd) {
    const { xaxis, yaxis } = gd._fullLayout;
    return { x: xaxis.range.map(Number), y: yaxis.range.map(Number) };
  }

  /** Show these ranges, the one with room to spare widened to fill the plot. */
  function show(gd, { x, y }) {
    const { w, h } = gd._fullLayout._size;
    const scale = Math.max((x[1] - x[0]) / w, (y[1] - y[0]) / h);
    const filled = { "xaxis.range": around(x, scale * w), "yaxis.range": around(y, scale * h) };
    gd.dinsightView.ours = String(filled["xaxis.range"]);
    window.Plotly.relayout(gd, filled);
  }

  function around([low, high], width) {
    const middle = (low + high) / 2;
    return [middle - width / 2, middle + width / 2];
  }

  function widen(gd, points) {
    const view = watch(gd);
    if (view.moved) return;
    const shown = ranges(gd);
    const x = reach(shown.x, points.x, view.first.x);
    const y = reach(shown.y, points.y, view.first.y);
    if (x || y) show(gd, { x: x || shown.x, y: y || shown.y });
  }

  /** The range that also holds the values, with some room; null if it holds them already. */
  function reach([low, high], values, [firstLow, firstHigh]) {
    const far = (WIDEST - 1) / 2 * (firstHigh - firstLow);
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
    const { first } = gd.dinsightView;
    const { x, y } = gd.data[index(gd, "Monitor")];
    const wide = reach(first.x, x, first.x) || first.x;
    const high = reach(first.y, y, first.y) || first.y;
    show(gd, { x: wide, y: high });
  }

  /** How many drawn monitor points lie outside of what is shown. */
  function outside(gd) {
    const view = ranges(gd);
    const { x, y } = gd.data[index(gd, "Monitor")];
    let count = 0;
    for (let i = 0; i < x.length; i += 1) {
      if (x[i] < view.x[0] || x[i] > view.x[1] || y[i] < view.y[0] || y[i] > view.y[1]) count += 1;
    }
    return count;
  }

  window.dinsight = window.dinsight || {};
  window.dinsight.map = {
    ready, watch, unpack, extend, ring, clear, drawn, size, contours, density, dress, outside,
    reach, floats,
  };
})();
