/* Two fingers on the map zoom it, about the point between them; one finger scrolls the page. */
(function () {
  "use strict";

  let pinch = null; // { gd, x, y, apart, left, top, width, height } as it was when it began
  let frame = 0;

  function between([a, b]) {
    return {
      apart: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
      at: [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2],
    };
  }

  function begin(event) {
    const gd = event.target.closest && event.target.closest("#live-map .js-plotly-plot");
    if (!gd || event.touches.length !== 2 || !gd._fullLayout || !gd.data.length) {
      pinch = null;
      return;
    }
    event.stopPropagation(); // two fingers that come at once are a double tap to Plotly: a reset
    const { xaxis, yaxis } = gd._fullLayout;
    const box = gd.getBoundingClientRect();
    const { apart, at } = between(event.touches);
    pinch = {
      gd,
      apart,
      x: xaxis.range.map(Number),
      y: yaxis.range.map(Number),
      across: (at[0] - box.left - xaxis._offset) / xaxis._length,
      up: 1 - (at[1] - box.top - yaxis._offset) / yaxis._length,
    };
  }

  function move(event) {
    if (!pinch || event.touches.length !== 2) return;
    event.preventDefault(); // neither scroll nor zoom the page
    const scale = pinch.apart / Math.max(1, between(event.touches).apart);
    const begun = pinch; // the fingers may be gone when the frame comes
    window.cancelAnimationFrame(frame);
    frame = window.requestAnimationFrame(() => show(begun, scale));
  }

  function show({ gd, x, y, across, up }, scale) {
    const change = { "xaxis.range": zoomed(x, across, scale), "yaxis.range": zoomed(y, up, scale) };
    window.Plotly.relayout(gd, change);
  }

  /** The range, `scale` times as wide, in which what stood at `share` of it still does. */
  function zoomed([low, high], share, scale) {
    const fixed = low + share * (high - low);
    return [fixed - (fixed - low) * scale, fixed + (high - fixed) * scale];
  }

  function end(event) {
    if (event.touches.length < 2) pinch = null;
  }

  document.addEventListener("touchstart", begin, { passive: true, capture: true });
  document.addEventListener("touchmove", move, { passive: false, capture: true });
  document.addEventListener("touchend", end, { passive: true, capture: true });
  document.addEventListener("touchcancel", end, { passive: true, capture: true });
})();
