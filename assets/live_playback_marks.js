/* The marks over the scrubber: warnings and alarms where they were, and the alerts. Told apart by
   their heights and shapes, not by colour alone. */
(function () {
  "use strict";

  const INSET = 8; // px: half of the scrubber's thumb, which is as far as it goes
  const HEIGHTS = [0, 0.4, 0.8]; // by level
  const LEAST = 2; // px that a mark is wide

  function draw(place, line) {
    const [canvas] = place.children;
    const { width, height } = canvas.getBoundingClientRect();
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (line.last_seq === null) return;
    const style = getComputedStyle(place);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    const colours = [null, of("warning"), of("alarm")];
    const span = Math.max(1, line.last_seq - line.first_seq);
    const x = (seq) => INSET + ((seq - line.first_seq) / span) * (width - 2 * INSET);
    context.fillStyle = of("line");
    context.fillRect(INSET, height - 1, width - 2 * INSET, 1);
    levels(context, line, x, height, colours);
    context.fillStyle = of("text");
    for (const { opened_seq: seq } of line.alerts) diamond(context, x(seq));
  }

  function levels(context, { trend, last_seq: last }, x, height, colours) {
    let i = 0;
    while (i < trend.number.length) {
      const start = i;
      const level = trend.level[start];
      while (i < trend.number.length && trend.level[i] === level) i += 1;
      if (!level) continue;
      const from = trend.number[start] * trend.width + 1;
      const to = Math.min(last, (trend.number[i - 1] + 1) * trend.width + 1);
      const tall = HEIGHTS[level] * height;
      context.fillStyle = colours[level];
      context.fillRect(Math.max(0, x(from)), height - tall, Math.max(LEAST, x(to) - x(from)), tall);
    }
  }

  function diamond(context, at) {
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at + 4, 4.5);
    context.lineTo(at, 9);
    context.lineTo(at - 4, 4.5);
    context.fill();
  }

  window.dinsight = window.dinsight || {};
  window.dinsight.playbackMarks = { draw };
})();
