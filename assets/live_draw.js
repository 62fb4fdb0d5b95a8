/* Drawing an area on the map. What is drawn and not saved yet lives here, in map units, on a layer
   over the plot: whatever the plot redraws, it stays. Nothing here knows what an area is for. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const SVG = "http://www.w3.org/2000/svg";
  const LEAST = 5; // px: a shorter drag is a slip of the finger
  const STEP = 3; // px between the vertices of a lasso
  const MOST = 480; // vertices
  const AROUND = 72; // corners of the polygon that an ellipse is drawn as

  let draft = null; // {kind, geometry or null, mapId}
  let drag = null; // the pointer's way so far, in px of the plot
  let changed = () => {};

  const layer = () => document.getElementById("detect-overlay");
  const plot = () => document.querySelector("#live-map .js-plotly-plot");

  /** The vertices of a shape, in map units. */
  function outline(kind, geometry) {
    if (kind === "rectangle") {
      const { x0, y0, x1, y1 } = geometry;
      return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    }
    if (kind === "lasso") return geometry.points;
    const { x, y, rx, ry, angle = 0 } = geometry;
    const turn = (angle * Math.PI) / 180;
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    return Array.from({ length: AROUND }, (_, i) => {
      const at = (2 * Math.PI * i) / AROUND;
      const [along, across] = [rx * Math.cos(at), ry * Math.sin(at)];
      return [x + along * cos - across * sin, y + along * sin + across * cos];
    });
  }

  function toMap([px, py]) {
    const { xaxis, yaxis } = plot()._fullLayout;
    return [xaxis.p2d(px - xaxis._offset), yaxis.p2d(py - yaxis._offset)];
  }

  function toPixels([x, y]) {
    const { xaxis, yaxis } = plot()._fullLayout;
    return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
  }

  /** The shape of a drag: corner to corner, or the lasso's way. */
  function geometryOf(kind, way, round) {
    const places = way.map(toMap);
    const [[ax, ay], [bx, by]] = [places[0], places[places.length - 1]];
    if (kind === "lasso") return { points: thinned(places) };
    if (kind === "rectangle") {
      return {
        x0: Math.min(ax, bx), x1: Math.max(ax, bx), y0: Math.min(ay, by), y1: Math.max(ay, by),
      };
    }
    let [rx, ry] = [Math.abs(bx - ax) / 2, Math.abs(by - ay) / 2];
    if (round) rx = ry = Math.max(rx, ry);
    return { x: (ax + bx) / 2, y: (ay + by) / 2, rx, ry, angle: 0 };
  }

  function thinned(points) {
    const every = Math.ceil(points.length / MOST);
    return points.filter((_, i) => i % every === 0);
  }

  /* ---- the pointer ---- */

  function at(event) {
    const box = layer().getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  function down(event) {
    if (!draft || drag || event.button || !event.isPrimary) return;
    event.preventDefault();
    layer().setPointerCapture(event.pointerId);
    drag = [at(event)];
  }

  function move(event) {
    if (!drag || !draft) return;
    const here = at(event);
    const last = drag[drag.length - 1];
    if (draft.kind === "lasso" && Math.hypot(here[0] - last[0], here[1] - last[1]) < STEP) return;
    if (draft.kind === "lasso") drag.push(here);
    else drag = [drag[0], here];
    if (drag.length > 1) draft.geometry = geometryOf(draft.kind, drag, event.shiftKey);
    render();
  }

  function up(event) {
    if (!drag || !draft) return;
    const way = drag;
    drag = null;
    const wide = (axis) => {
      const all = way.map((place) => place[axis]);
      return Math.max(...all) - Math.min(...all) >= LEAST;
    };
    if (event.type === "pointercancel" || !wide(0) || !wide(1)) draft.geometry = null;
    render();
    changed(draft);
  }

  /* ---- the layer ---- */

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  /** Draw the draft where the plot's axes are now. */
  function render() {
    const over = layer();
    if (!over) return;
    watch(over);
    over.classList.toggle("drawing", Boolean(draft && (drag || !draft.geometry)));
    over.replaceChildren();
    const gd = plot();
    if (!draft || !draft.geometry || !gd || !gd._fullLayout || !gd._fullLayout.xaxis) return;
    const points = outline(draft.kind, draft.geometry).map(toPixels);
    const svg = element("svg", { "aria-hidden": "true" });
    svg.append(element("polygon", { points: points.join(" "), "fill-rule": "evenodd" }));
    over.append(svg);
  }

  function watch(over) {
    if (over.dinsightWatched) return;
    over.dinsightWatched = true;
    const heard = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
    for (const [name, hear] of Object.entries(heard)) over.addEventListener(name, hear);
  }

  /** Keep the layer on the plot whatever that does. */
  function follow(gd) {
    if (gd.dinsightDraws) return;
    gd.dinsightDraws = true;
    for (const name of ["plotly_afterplot", "plotly_relayouting"]) gd.on(name, render);
  }

  /* ---- for the panel ---- */

  /** Begin a draft on a map; `told` hears of it when the shape is changed by the pointer. */
  function start(kind, mapId, told) {
    draft = { kind, geometry: null, mapId };
    drag = null;
    changed = told;
    render();
  }

  /** Give the draft the numbers that were typed; null while they are no shape. */
  function put(geometry) {
    if (!draft) return;
    draft.geometry = geometry;
    render();
  }

  function stop() {
    draft = null;
    drag = null;
    render();
  }

  dinsight.draw = { start, put, stop, follow, render, outline, draft: () => draft };
})();
