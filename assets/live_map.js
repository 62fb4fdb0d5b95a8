/* Drawing on the map. The server makes the figure (layouts/figures.py); this extends its traces.

   Whatever changes of the data is put into the traces and drawn in one go, which is what
   `Plotly.extendTraces` does for one kind of change: every redraw recalculates the whole plot.
   Nothing here asks the server for anything or knows what a poll is. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const RING = 7; // px that the ring of a newest point is wider than the point
  const LEVELS = ["healthy", "warning", "alarm"];
  const SYMBOLS = { healthy: "circle", warning: "triangle-up", alarm: "x" };
  const ODD = "diamond"; // of a point that is healthy by level, and anomalous by another measure
  const EARLIER = "Earlier anomalies";
  const RED = "#DC2626";
  const look = { mode: "plain", limit: 1, axes: null, judge: null };

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

  function trace(gd, name) {
    return gd.data[index(gd, name)];
  }

  function redraw(gd) {
    window.Plotly.redraw(gd);
    document.dispatchEvent(new CustomEvent("dinsight:framed", { detail: gd }));
  }

  /* ---- what comes from the server ---- */

  function bytes(text) {
    return Uint8Array.from(window.atob(text), (character) => character.charCodeAt(0));
  }

  /** Base64 of little-endian float32 as a plain array: Plotly cannot extend a typed one. */
  function floats(text) {
    const view = new DataView(bytes(text).buffer);
    return Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  /** The points of a packed message from the `skip`th on; `seq`s without gaps need not be named. */
  function unpack(message, skip) {
    if (message.points) {
      const { x, y, about } = message.points; // of a recording: they are unpacked
      return { x: x.slice(skip), y: y.slice(skip), about: about.slice(skip) };
    }
    const [x, y, score] = [message.x, message.y, message.score].map((text) => floats(text));
    const level = bytes(message.level);
    const seq = message.seq || x.map((_, i) => message.first + i);
    const inside = dinsight.detection.flags(message) || [];
    const about = x.map((_, i) => [seq[i], score[i], LEVELS[level[i]], inside[i] ?? null]);
    return { x: x.slice(skip), y: y.slice(skip), about: about.slice(skip) };
  }

  /* ---- points ---- */

  /** Put points into a figure that is not drawn yet, and show it as chosen. */
  function compose(figure, points, { cap, earlier, glow, size: pixels, colour: mode, contours: wanted }) {
    sized(figure, pixels);
    coloured(figure, mode);
    contoured(figure, wanted);
    add(figure, points, { cap, earlier, glow });
  }

  /**
   * Add points. The oldest beyond `cap` leave the window; of those the newest `earlier` anomalous
   * ones stay drawn: the map never hides an anomaly. The rings move on to the newest `glow`.
   */
  function extend(gd, points, { cap, glow, earlier, following }) {
    dinsight.frame.accompany(gd, points, following);
    add(gd, points, { cap, earlier, glow });
    redraw(gd);
  }

  function add(gd, points, { cap, earlier, glow }) {
    const monitor = trace(gd, "Monitor");
    append(monitor, points, shades(points.about));
    leave(gd, monitor.x.length - cap, earlier);
    ringed(gd, glow);
    gradient(gd);
  }

  /** Draw nothing new, but go after the newest points. */
  function go(gd) {
    dinsight.frame.accompany(gd, { x: [], y: [] }, true);
    redraw(gd);
  }

  function append(to, points, colours) {
    to.x = to.x.concat(points.x);
    to.y = to.y.concat(points.y);
    to.customdata = to.customdata.concat(points.about);
    to.marker.symbol = to.marker.symbol.concat(marks(points.about, colours));
    if (Array.isArray(to.marker.color)) to.marker.color = to.marker.color.concat(colours);
  }

  /** The first `count` points of the window go, the anomalous ones among them to `EARLIER`. */
  function leave(gd, count, most) {
    if (count <= 0) return;
    const monitor = trace(gd, "Monitor");
    const is = ([, , level]) => level !== "healthy";
    const gone = [...Array(count).keys()].filter((i) => is(monitor.customdata[i]));
    if (gone.length) {
      const old = trace(gd, EARLIER);
      const pick = (values) => gone.map((i) => values[i]);
      const colours = Array.isArray(monitor.marker.color) ? pick(monitor.marker.color) : [];
      const about = pick(monitor.customdata);
      append(old, { x: pick(monitor.x), y: pick(monitor.y), about }, colours);
      keep(old, -most);
    }
    keep(monitor, count);
  }

  /** Only the points from the `start`th on. */
  function keep(of, start) {
    for (const name of ["x", "y", "customdata"]) of[name] = of[name].slice(start);
    of.marker.symbol = of.marker.symbol.slice(start);
    if (Array.isArray(of.marker.color)) of.marker.color = of.marker.color.slice(start);
  }

  function ringed(gd, glow) {
    const monitor = trace(gd, "Monitor");
    const latest = trace(gd, "Latest");
    const start = monitor.x.length - Math.min(glow, monitor.x.length);
    for (const name of ["x", "y", "customdata"]) latest[name] = monitor[name].slice(start);
  }

  function ring(gd, glow) {
    ringed(gd, glow);
    redraw(gd);
  }

  /** Start anew. After a gap in the same run the anomalous points stay. */
  function clear(gd, { earlier }) {
    if (earlier) {
      leave(gd, drawn(gd), earlier);
    } else {
      for (const name of [EARLIER, "Monitor"]) keep(trace(gd, name), Infinity);
      Object.assign(trace(gd, "Monitor density"), { x: [], y: [], z: [], visible: false });
      picture(gd, []);
    }
    ringed(gd, 0);
    redraw(gd);
    if (!dinsight.frame.watch(gd).moved) dinsight.frame.fit(gd);
  }

  /** Take all points and densities of the stream away, without drawing: others come at once. */
  function forget(gd) {
    for (const name of [EARLIER, "Monitor"]) keep(trace(gd, name), Infinity);
    Object.assign(trace(gd, "Monitor density"), { x: [], y: [], z: [], visible: false });
    const { images } = dinsight.frame.watch(gd);
    if ((gd.layout.images || []).length > images.length) picture(gd, []);
  }

  /** How many points the window holds. */
  function drawn(gd) {
    return trace(gd, "Monitor").x.length;
  }

  /** How many points of the stream are drawn as points. */
  function shown(gd) {
    return drawn(gd) + trace(gd, EARLIER).x.length;
  }

  /** The first seq of the window; null while it is empty. */
  function first(gd) {
    const { customdata } = trace(gd, "Monitor");
    return customdata.length ? customdata[0][0] : null;
  }

  /** Every drawn point of the stream, oldest first. */
  function live(gd) {
    const [old, monitor] = [trace(gd, EARLIER), trace(gd, "Monitor")];
    return {
      x: old.x.concat(monitor.x),
      y: old.y.concat(monitor.y),
      about: old.customdata.concat(monitor.customdata),
    };
  }

  function size(gd, pixels) {
    sized(gd, pixels);
    redraw(gd);
  }

  function sized(gd, pixels) {
    for (const name of ["Baseline", EARLIER, "Monitor"]) trace(gd, name).marker.size = pixels;
    trace(gd, "Latest").marker.size = pixels + RING;
  }

  /* ---- colours ----

     `colour(gd, mode, flags)` colours all that is drawn: plain, order, score, level, or normal,
     where `flags` is one 0 or 1 for each point of `live(gd)`. Who judges otherwise than by level
     gives `judge(points) -> flags` once, and new points are coloured by it as they come. */

  function colour(gd, mode, flags) {
    coloured(gd, mode, flags);
    redraw(gd);
  }

  function coloured(gd, mode, flags) {
    look.mode = look.axes && mode in look.axes ? mode : "plain";
    const [old, monitor] = [trace(gd, EARLIER), trace(gd, "Monitor")];
    const values = look.mode === "plain" ? null : shades(live(gd).about, flags, live(gd));
    for (const [of, from, to] of [[old, 0, old.x.length], [monitor, old.x.length, undefined]]) {
      const { size: pixels, opacity } = of.marker;
      const scale = values ? JSON.parse(JSON.stringify(look.axes[look.mode])) : {};
      const color = values ? values.slice(from, to) : RED;
      const symbol = marks(of.customdata, color);
      of.marker = { symbol, size: pixels, opacity, ...scale, color };
    }
    old.marker.showscale = false; // one bar for both
    gradient(gd);
  }

  /** The symbols of points: by level, and of the anomalous ones that are judged otherwise. */
  function marks(about, values) {
    const odd = (i, level) => look.mode === "normal" && values[i] === 1 && level === "healthy";
    return about.map(([, , level], i) => (odd(i, level) ? ODD : SYMBOLS[level]));
  }

  /** The values that points are coloured by. */
  function shades(about, flags, points) {
    if (look.mode === "order") return about.map(([seq]) => seq);
    if (look.mode === "score") return about.map(([, score]) => Math.min(score / look.limit, 1e6));
    if (look.mode === "level") return about.map(([, , level]) => LEVELS.indexOf(level));
    if (look.mode !== "normal") return [];
    const judged = flags || (look.judge && look.judge(points || { about }));
    return about.map(([, , level], i) => (judged ? Number(judged[i]) : Number(level !== "healthy")));
  }

  /** By order, the gradient goes over the window. */
  function gradient(gd) {
    const { customdata } = trace(gd, "Monitor");
    if (look.mode !== "order" || !customdata.length) return;
    const [low, high] = [customdata[0][0], customdata[customdata.length - 1][0]];
    for (const { marker } of [trace(gd, EARLIER), trace(gd, "Monitor")]) {
      [marker.cmin, marker.cmax] = [low, Math.max(high, low + 1)];
      marker.colorbar.tickvals = [marker.cmin, marker.cmax];
    }
  }

  /** What colours mean: the bars of the modes, and the score that is the limit. */
  function meaning(gd, { axes, limit }) {
    const other = limit !== look.limit;
    Object.assign(look, { axes, limit });
    if (other && gd && look.mode === "score") colour(gd, look.mode);
  }

  /** Judge new points so; null is by level again. */
  function judge(function_) {
    look.judge = function_;
  }

  /* ---- densities ---- */

  /** Show or hide the contours of both sets; a set without a density has nothing to show. */
  function contours(gd, wanted) {
    contoured(gd, wanted);
    redraw(gd);
  }

  function contoured(gd, wanted) {
    for (const name of ["Baseline density", "Monitor density"]) {
      const density = trace(gd, name);
      density.visible = wanted && density.z.length > 0;
    }
  }

  /**
   * What the server counted: contours of all points (z is base64 of 0 to 255, row by row), pictures
   * of them, and the anomalous points from before the window.
   */
  function density(gd, { grid, images, earlier }, { contours: wanted, most }) {
    if (grid) {
      const values = Array.from(bytes(grid.z), (level) => level / 255);
      const width = grid.x.length;
      const z = grid.y.map((_, row) => values.slice(row * width, (row + 1) * width));
      const { x, y } = grid;
      Object.assign(trace(gd, "Monitor density"), { x, y, z, visible: wanted });
    }
    if (images) picture(gd, images);
    if (earlier) remember(gd, unpack(earlier, 0), most);
    redraw(gd);
  }

  /** The baseline's pictures and these; see `put` in live_frame.js. */
  function picture(gd, images) {
    const all = dinsight.frame.watch(gd).images.concat(images);
    if (all.length || (gd.layout.images || []).length) window.Plotly.relayout(gd, { images: all });
  }

  /** Anomalous points older than all that are drawn. */
  function remember(gd, points, most) {
    const old = trace(gd, EARLIER);
    const before = old.customdata.length ? old.customdata[0][0] : first(gd);
    const older = points.about.findIndex(([seq]) => seq >= before);
    const count = older < 0 ? points.x.length : older;
    if (!count) return;
    const now = { x: old.x, y: old.y, about: old.customdata };
    const colours = old.marker.color;
    const [head, all] = [{}, {}];
    for (const name of ["x", "y", "about"]) {
      head[name] = points[name].slice(0, count);
      all[name] = head[name].concat(now[name]);
    }
    Object.assign(old, { x: [], y: [], customdata: [] });
    old.marker.symbol = [];
    if (Array.isArray(colours)) old.marker.color = [];
    append(old, all, Array.isArray(colours) ? shades(head.about, null, head).concat(colours) : []);
    keep(old, -most);
  }

  function dress(gd, theme) {
    for (const [name, change] of Object.entries(theme.traces)) {
      window.Plotly.restyle(gd, change, [index(gd, name)]);
    }
    window.Plotly.relayout(gd, theme.layout);
  }

  dinsight.map = {
    EARLIER, div, ready, unpack, extend, ring, clear, drawn, shown, first, live, size, contours, density,
    dress, floats, go, colour, judge, meaning, forget, compose,
  };
})();
