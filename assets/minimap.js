/* The small map of a machine, as SVG: its baseline as a quiet ground and its newest points by level,
   in shape and colour, the newest one ringed. One beyond the frame stands on its border with an arrow
   towards where it is. Numbers as dinsight/minimap.py makes them: 0 to 200, y down. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const SVG = "http://www.w3.org/2000/svg";
  const SIDE = 200;
  const EDGE = 18; // around the frame, for arrows and rings
  const OUTSIDE = 4;
  const LEVELS = ["healthy", "warning", "alarm"];
  const SYMBOLS = {
    healthy: (x, y) => `M${x} ${y}h0`,
    warning: (x, y) => `M${x} ${y - 8}l8 14h-16z`,
    alarm: (x, y) => `M${x - 6} ${y - 6}l12 12m-12 0l12-12`,
  };

  function element(name, attributes, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function build() {
    const path = (name) => element("path", { class: `minimap-${name}` });
    const ground = path("ground");
    const levels = LEVELS.map(path);
    const arrows = LEVELS.map((level) => path(`arrow minimap-${level}-arrow`));
    const ring = element("circle", { class: "minimap-ring", r: 13, visibility: "hidden" });
    const frame = element("rect", { class: "minimap-frame", width: SIDE, height: SIDE, rx: 4 });
    const viewBox = [-EDGE, -EDGE, SIDE + 2 * EDGE, SIDE + 2 * EDGE].join(" ");
    const svg = element(
      "svg", { class: "minimap", viewBox, role: "img" }, frame, ground, ...levels, ...arrows, ring,
    );
    return { svg, ground, levels, arrows, ring };
  }

  function bytes(text) {
    return Uint8Array.from(window.atob(text), (character) => character.charCodeAt(0));
  }

  function pathOfGround(text) {
    const at = bytes(text);
    let path = "";
    for (let i = 0; i < at.length; i += 2) path += `M${at[i]} ${at[i + 1]}h0`;
    return path;
  }

  /** Points [{x, y, level, beyond}], the oldest first. */
  function unpack(text) {
    const all = bytes(text);
    return Array.from({ length: all.length / 3 }, (_, i) => {
      const [x, y, kind] = all.subarray(3 * i, 3 * i + 3);
      return { x, y, level: kind % OUTSIDE, beyond: kind >= OUTSIDE };
    });
  }

  /** Of the points beyond the frame the newest on each side: an arrow for each would be a smear. */
  function newestBySide(points) {
    const side = ({ x, y }) => [x === 0, x === SIDE, y === 0, y === SIDE].indexOf(true);
    const last = new Map(points.filter(({ beyond }) => beyond).map((point) => [side(point), point]));
    return [...last.values()];
  }

  /** An arrow from the border outward, away from the middle. */
  function arrow({ x, y }) {
    const [dx, dy] = [x - SIDE / 2, y - SIDE / 2];
    const far = Math.hypot(dx, dy) || 1;
    const [along, across] = [[dx / far, dy / far], [-dy / far, dx / far]];
    const at = (out, side) =>
      [0, 1].map((axis) => Math.round([x, y][axis] + along[axis] * out + across[axis] * side)).join(" ");
    return `M${at(17, 0)}L${at(4, 8)}L${at(4, -8)}z`;
  }

  function ground(nodes, path) {
    nodes.ground.setAttribute("d", path);
  }

  function draw(nodes, points) {
    LEVELS.forEach((name, level) => {
      const mine = points.filter((point) => point.level === level);
      nodes.levels[level].setAttribute("d", mine.map(({ x, y }) => SYMBOLS[name](x, y)).join(""));
      nodes.arrows[level].setAttribute("d", newestBySide(mine).map(arrow).join(""));
    });
    const newest = points[points.length - 1];
    nodes.ring.setAttribute("visibility", newest ? "visible" : "hidden");
    if (newest) {
      nodes.ring.setAttribute("cx", newest.x);
      nodes.ring.setAttribute("cy", newest.y);
    }
    nodes.svg.setAttribute("aria-label", words(points));
  }

  /** The same for those who do not see it. */
  function words(points) {
    if (!points.length) return "Small map: no point yet";
    const count = (holds) => points.filter(holds).length;
    const parts = LEVELS.map((name, level) => [count((point) => point.level === level), name])
      .filter(([many]) => many)
      .map(([many, name]) => `${many} ${name}`);
    const beyond = count((point) => point.beyond);
    if (beyond) parts.push(`${beyond} beyond its frame`);
    const many = points.length === 1 ? "the one point" : `the newest ${points.length} points`;
    return `Small map of ${many}: ${parts.join(", ")}`;
  }

  dinsight.minimap = { build, ground, draw, unpack, pathOfGround, words };
})();
