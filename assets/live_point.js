/* The panel of one point: selected by a click on the map or the trend, by the address, or step by
   step. One question is under way at a time, and the last that was wanted is what is shown. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LOST_MS = 12000;
  const SLOW_MS = 1000;
  const WORST_OF = 100;
  const TYPING = "input, select, textarea, [contenteditable], [role=slider], dialog";

  const now = () => window.performance.now();
  const get = (id) => document.getElementById(id);

  let view = null;
  let wanted = null; // {epoch, seq}: what is selected
  let shown = null; // the answer that is on the page
  let asked = null; // when the question under way was sent
  let slow = 0;

  /* ---- selecting ---- */

  function select(point) {
    document.dispatchEvent(new CustomEvent("dinsight:select", { detail: point }));
  }

  function selected(point) {
    const before = wanted;
    wanted = point;
    address();
    const panel = get("point");
    if (!panel) return;
    if (!point) return clear(panel);
    panel.open = true;
    if (!before) bring(panel);
    dinsight.marks.mark("selected", dinsight.marks.place(point));
    dinsight.marks.mark("nearest", null);
    paint();
    ask();
  }

  /** Into sight, where it is beside the map; on a phone the map must not scroll away by itself. */
  function bring(panel) {
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const beside = window.matchMedia("(min-width: 1001px)").matches;
    const box = panel.getBoundingClientRect();
    if (beside && box.top > window.innerHeight - 200) {
      panel.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
    }
  }

  function clear(panel) {
    shown = null;
    panel.open = false;
    dinsight.marks.mark("selected", null);
    dinsight.marks.mark("nearest", null);
    paint();
  }

  /** `?point=epoch:seq`, so that a colleague sees the same; the other parameters stay. */
  function address() {
    const query = new URLSearchParams(window.location.search);
    if (wanted) query.set("point", `${wanted.epoch}:${wanted.seq}`);
    else query.delete("point");
    const search = query.toString().replace(/%3A/g, ":");
    const next = window.location.pathname + (search && `?${search}`);
    window.history.replaceState(window.history.state, "", next);
  }

  function addressed() {
    const text = new URLSearchParams(window.location.search).get("point") || "";
    const found = /^([1-9]\d{0,8}):([1-9]\d{0,14})$/.exec(text);
    return found && { epoch: Number(found[1]), seq: Number(found[2]) };
  }

  /* ---- asking ---- */

  function ask() {
    if (!wanted || !view || view.kind !== "ready") return;
    if (asked !== null && now() - asked < LOST_MS) return; // its answer asks again
    asked = now();
    window.clearTimeout(slow);
    slow = window.setTimeout(paint, SLOW_MS);
    const { key, baseline_id: id, stream } = view;
    const { touch } = dinsight.browser.screen();
    const drawn = { theme: window.dinsightTheme.current(), touch };
    const data = { key, baseline_id: id, stream, ...wanted, ...drawn };
    dinsight.ask("point-ask", "point-answer", data).then(answered);
  }

  const isWanted = (answer) =>
    Boolean(wanted && answer && answer.epoch === wanted.epoch && answer.seq === wanted.seq);

  function answered(answer) {
    if (!answer) return;
    asked = null;
    window.clearTimeout(slow);
    if (!wanted) return;
    if (!view || answer.key !== view.key || !isWanted(answer)) {
      ask();
      return;
    }
    shown = answer;
    dinsight.put("point-said", { text: answer.said });
    dinsight.put("point-top", { innerHTML: answer.top });
    dinsight.put("point-rest", { innerHTML: answer.rest });
    if (answer.found) {
      if (get("point")) window.dash_clientside.set_props("point-spectrum", { figure: answer.figure });
      tellTime(answer.created_at);
    }
    paint();
    markAll();
  }

  function tellTime(moment) {
    const title = `${moment.replace("T", " ").slice(0, 19)} UTC`;
    dinsight.put("point-time", { text: dinsight.words.clock(moment, new Date()), title });
  }

  /** On the map, if that is still of the same run: another one may be on another map. */
  function markAll() {
    const here = shown && shown.found && isWanted(shown) && shown.epoch === dinsight.marks.epoch();
    dinsight.marks.mark("selected", here ? shown : null);
    dinsight.marks.mark("nearest", here ? shown.nearest : null);
  }

  /* ---- painting ---- */

  function paint() {
    if (!get("point")) return;
    const waits = Boolean(wanted) && !isWanted(shown);
    const since = asked === null ? 0 : now() - asked;
    const number = wanted && dinsight.words.whole.format(wanted.seq);
    const archived = wanted && dinsight.marks.epoch() && wanted.epoch !== dinsight.marks.epoch();
    const of = archived ? ` of run ${wanted.epoch}, archived` : "";
    get("point-title").textContent = wanted ? `${number}${of}` : "";
    get("point-wait").textContent = waits && since >= SLOW_MS ? `Reading point ${number} …` : "";
    get("point-body").hidden = !wanted || !shown;
    get("point-body").setAttribute("aria-busy", String(waits));
    get("point-spectrum-place").hidden = !(shown && shown.found);
    for (const button of document.querySelectorAll("[data-point]")) {
      button.disabled = button.dataset.point !== "close" && !target(button.dataset.point);
    }
  }

  /** Where a button leads; null where that is nowhere. */
  function target(where) {
    const newest = dinsight.trend.newest();
    if (where === "newest") return newest;
    if (where === "worst") return dinsight.trend.worst(WORST_OF);
    if (!wanted) return null;
    const seq = wanted.seq + (where === "next" ? 1 : -1);
    const ended = newest && newest.epoch === wanted.epoch && seq > newest.seq;
    return seq < 1 || ended ? null : { epoch: wanted.epoch, seq };
  }

  function go(where) {
    if (where === "close") return select(null);
    const point = target(where);
    if (point) select(point);
  }

  /* ---- by hand ---- */

  document.addEventListener("click", ({ target: element }) => {
    const button = element.closest("[data-point]");
    if (button && !button.disabled) go(button.dataset.point);
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!get("point") || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && wanted) select(null);
    if (dinsight.playback.on()) return; // the arrows are the recording's
    if (!wanted || !get("point").open || event.target.closest(TYPING)) return;
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    go(event.key === "ArrowLeft" ? "previous" : "next");
  });

  /* ---- with the page ---- */

  document.addEventListener("dinsight:select", ({ detail }) => {
    if (!view || !view.display) selected(detail);
  });
  document.addEventListener("dinsight:opened", ({ detail }) => {
    const again = view && view.baseline_id === detail.view.baseline_id
      && view.stream === detail.view.stream;
    view = detail.view;
    [shown, asked] = [null, null];
    const point = addressed() || (again ? wanted : null);
    if (view.kind === "ready" && !view.display && point) select(point);
    else if (wanted) select(null);
  });
  document.addEventListener("dinsight:run", () => {
    markAll();
    paint();
  });
  document.addEventListener("dinsight:points", paint);
  document.addEventListener("dinsight:theme", () => {
    shown = null;
    ask();
  });
})();
