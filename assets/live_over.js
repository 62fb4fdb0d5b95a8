/* What lies over the map: arrows to points outside of the view, the label of the point under the
   pointer, the ring around the point that is looked at. They move with the map, and cost no redraw. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const SIDES = { left: "‹", right: "›", up: "‹", down: "›" };
  const ASK_MS = 80; // a pointer that only passes asks for nothing
  const KNOWN = 500; // answers kept
  const known = new Map();
  let pointed = null; // {gd, x, y, about} under the pointer
  let chosen = null; // {epoch, seq} that is looked at
  let asking = 0;

  const whole = (count) => dinsight.words.whole.format(count);

  /* ---- arrows ---- */

  function arrows(gd) {
    const place = document.getElementById("live-edge");
    if (!place || !gd._fullLayout) return;
    const sides = gd.dinsightView ? dinsight.frame.outside(gd) : {};
    for (const side of Object.keys(SIDES)) arrow(gd, place, side, sides[side]);
  }

  function arrow(gd, place, side, points) {
    let button = place.querySelector(`[data-side=${side}]`);
    if (!points) {
      if (button) button.remove();
      return;
    }
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = `edge-arrow edge-${side}`;
      button.dataset.side = side;
      button.addEventListener("click", () => {
        const now = dinsight.frame.outside(gd)[side];
        if (now) dinsight.frame.lead(gd, now);
      });
      place.append(button);
    }
    const count = points.x.length;
    const many = count === 1 ? "1 point" : `${whole(count)} points`;
    button.textContent = whole(count);
    button.setAttribute("aria-label", `${many} outside of the view (${side}): show them`);
    button.title = `${many} outside of the view: show them`;
    const { l, t, w, h } = gd._fullLayout._size;
    const along = Math.min(0.9, Math.max(-0.9, points.at));
    const upright = side === "left" || side === "right";
    button.style.left = `${l + (upright ? (side === "left" ? 0 : w) : ((along + 1) / 2) * w)}px`;
    button.style.top = `${t + (upright ? ((1 - along) / 2) * h : side === "up" ? 0 : h)}px`;
  }

  /* ---- the label ---- */

  /** Listen on a plot that was just made. */
  function watch(gd) {
    if (gd.dinsightOver) return;
    gd.dinsightOver = true;
    gd.on("plotly_hover", ({ points: [point] }) => point_(gd, point));
    gd.on("plotly_unhover", () => unpoint());
  }

  function select(detail) {
    document.dispatchEvent(new CustomEvent("dinsight:select", { detail }));
  }

  function point_(gd, point) {
    if (!point.customdata) return;
    pointed = { gd, x: point.x, y: point.y, about: point.customdata };
    window.clearTimeout(asking);
    label();
    if (!known.has(name(pointed.about[0]))) asking = window.setTimeout(ask, ASK_MS, pointed.about[0]);
  }

  function unpoint() {
    window.clearTimeout(asking);
    pointed = null;
    label();
  }

  function name(seq) {
    const { view, cursor } = dinsight.live.state();
    return `${view.key} ${cursor.epoch}:${seq}`;
  }

  function ask(seq) {
    const { view, cursor } = dinsight.live.state();
    if (!view || !cursor || !document.getElementById("live-map")) return;
    const { key, baseline_id, stream } = view;
    const data = { key, baseline_id, stream, after: `${cursor.epoch}:${seq}` };
    dinsight.ask("live-about-ask", "live-about", data).then(about);
  }

  /** What was asked about a point has come. */
  function about(answer) {
    if (!answer) return;
    if (known.size >= KNOWN) known.delete(known.keys().next().value);
    known.set(`${answer.key} ${answer.epoch}:${answer.seq}`, answer);
    offer(Object.keys(answer.metadata));
    label();
  }

  /** The names of the metadata that a label can say: those that were seen, in order. */
  function offer(names) {
    const list = dinsight.live.state().columns;
    const fresh = names.filter((each) => !list.includes(each));
    if (!fresh.length) return;
    list.push(...fresh);
    dinsight.live.columns(list);
  }

  function label() {
    const place = document.getElementById("live-label");
    if (!place) return;
    place.hidden = !pointed;
    if (!pointed) return;
    const [seq, score, level] = pointed.about;
    const { status } = dinsight.live.state();
    const limit = (status && status.alarm_limit) || 1;
    const lines = [
      `point ${whole(seq)}`,
      `${dinsight.words.score(score / limit)}, ${level}`,
    ];
    const more = known.get(name(seq));
    if (more) lines.push(dinsight.words.clock(more.received_at, new Date()));
    place.replaceChildren(...lines.map((text, i) => line(text, i ? "" : "label-name")));
    for (const column of more ? dinsight.live.said() : []) {
      if (column in more.metadata) place.append(line(`${column}: ${more.metadata[column]}`, ""));
    }
    beside(place, pointed);
  }

  function line(text, className) {
    const element = document.createElement("div");
    element.textContent = text;
    element.className = className;
    return element;
  }

  function at(gd, x, y) {
    const { xaxis, yaxis } = gd._fullLayout;
    return [xaxis._offset + xaxis.l2p(x), yaxis._offset + yaxis.l2p(y)];
  }

  /** Beside a point, on the side where there is room. */
  function beside(place, { gd, x, y }) {
    const [left, top] = at(gd, x, y);
    const { width, height } = gd._fullLayout;
    const right = left + 14 + place.offsetWidth > width;
    place.style.left = `${Math.max(4, right ? left - 14 - place.offsetWidth : left + 14)}px`;
    const lowest = Math.max(4, height - place.offsetHeight - 4);
    place.style.top = `${Math.min(lowest, Math.max(4, top - place.offsetHeight / 2))}px`;
  }

  /* ---- the point that is looked at ---- */

  function selected(gd) {
    const place = document.getElementById("live-edge");
    if (!place) return;
    let ring = place.querySelector(".selected-ring");
    const found = chosen && gd.dinsightView ? place_of(gd, chosen) : null;
    if (!found) {
      if (ring) ring.remove();
      return;
    }
    if (!ring) {
      ring = document.createElement("div");
      ring.className = "selected-ring";
      place.append(ring);
    }
    const [left, top] = at(gd, ...found);
    ring.style.left = `${left}px`;
    ring.style.top = `${top}px`;
  }

  function place_of(gd, { epoch, seq }) {
    const { cursor } = dinsight.live.state();
    if (!cursor || cursor.epoch !== epoch) return null;
    const points = dinsight.map.live(gd);
    const i = points.about.findIndex(([number]) => number === seq);
    if (i < 0) return null;
    const { x, y } = dinsight.frame.ranges(gd);
    const inside = points.x[i] >= x[0] && points.x[i] <= x[1];
    return inside && points.y[i] >= y[0] && points.y[i] <= y[1] ? [points.x[i], points.y[i]] : null;
  }

  function plot() {
    const { view } = dinsight.live.state();
    return view ? dinsight.map.ready(view.key) : null;
  }

  document.addEventListener("dinsight:framed", ({ detail: gd }) => {
    arrows(gd);
    selected(gd);
    label();
  });
  document.addEventListener("dinsight:select", ({ detail }) => {
    chosen = detail;
    const gd = plot();
    if (gd) selected(gd);
  });
  document.addEventListener("dinsight:opened", () => {
    [chosen, pointed] = [null, null];
    const place = document.getElementById("live-edge");
    if (place) place.replaceChildren();
    label();
  });
  document.addEventListener("keydown", (event) => {
    const dialog = document.querySelector("dialog[open]");
    if (event.key === "Escape" && chosen && !dialog) select(null);
  });

  dinsight.over = { watch, about, ask };
})();
