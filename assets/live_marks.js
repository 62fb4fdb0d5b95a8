/* What is marked on the map, and pointing at it. The marks lie over the plot and follow its zoom:
   they cost a tick nothing, where one more trace would have to be computed with all the others. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const MOVES = ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"];
  const marks = new Map(); // name -> {x, y, element}

  let epoch = null; // the run that the map shows
  let under = null; // the seq under the pointer

  function div() {
    return document.querySelector("#live-map .js-plotly-plot");
  }

  /** Mark a place, in map units, under that name; null takes the mark away. */
  function mark(name, place) {
    const known = marks.get(name);
    if (!place) {
      if (known) known.element.remove();
      marks.delete(name);
      return;
    }
    const element = known ? known.element : document.createElement("div");
    element.className = `map-mark map-mark-${name}`;
    marks.set(name, { x: place.x, y: place.y, element });
    const stage = document.getElementById("live-stage");
    if (stage && element.parentElement !== stage) stage.append(element);
    move();
  }

  /** Bring every mark to where its place is now; one that is out of sight is not shown. */
  function move() {
    const gd = div();
    if (!gd || !gd._fullLayout || !gd._fullLayout.xaxis) return;
    const { xaxis, yaxis } = gd._fullLayout;
    for (const { x, y, element } of marks.values()) {
      const [left, top] = [xaxis.l2p(x), yaxis.l2p(y)];
      element.hidden = left < 0 || top < 0 || left > xaxis._length || top > yaxis._length;
      element.style.left = `${left + xaxis._offset}px`;
      element.style.top = `${top + yaxis._offset}px`;
    }
  }

  /** Where a point is drawn; null where it is not, or is of another run. */
  function place(point) {
    const gd = point && point.epoch === epoch ? div() : null;
    const trace = gd && gd.data && gd.data.find(({ name }) => name === "Monitor");
    if (!trace || !trace.customdata || !trace.customdata.length) return null;
    const at = point.seq - trace.customdata[0][0]; // seq has no gap
    const about = trace.customdata[at];
    return about && about[0] === point.seq ? { x: trace.x[at], y: trace.y[at] } : null;
  }

  function tell(what, detail) {
    document.dispatchEvent(new CustomEvent(`dinsight:${what}`, { detail }));
  }

  function pointed(event) {
    const point = event.points.find(({ customdata: about }) => Array.isArray(about));
    return point ? point.customdata[0] : null;
  }

  function hover(seq) {
    if (seq === under) return;
    under = seq;
    tell("hover", seq === null ? null : { epoch, seq });
  }

  function listen() {
    const gd = div();
    if (!gd || !gd.on || gd.dinsightMarks) return;
    gd.dinsightMarks = true;
    for (const event of MOVES) gd.on(event, move);
    gd.on("plotly_hover", (event) => hover(pointed(event)));
    gd.on("plotly_unhover", () => hover(null));
    gd.on("plotly_click", (event) => {
      const seq = pointed(event);
      if (seq !== null) tell("select", { epoch, seq });
    });
  }

  document.addEventListener("dinsight:opened", () => {
    epoch = null;
    for (const name of [...marks.keys()]) mark(name, null);
  });
  document.addEventListener("dinsight:points", ({ detail }) => {
    listen();
    if (epoch !== detail.epoch) {
      epoch = detail.epoch;
      tell("run", { epoch });
    }
  });
  document.addEventListener("dinsight:hover", ({ detail }) => {
    under = detail ? detail.seq : null; // others point as well: the trend
    mark("hovered", place(detail));
  });

  dinsight.marks = { mark, place, epoch: () => epoch };
})();
