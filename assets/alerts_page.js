/* The alerts page: asks for the list anew, keeps the filters in the address, does what is pressed.

   ask -> list and told; the address opens the dialog about one alert (`?alert=7`) and the figures
   (`?view=quality`). One question at a time. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const PATH = "/dashboard/alerts";
  const EXPORT = `${PATH}/export`;
  const AGAIN_MS = 5000;
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const STEP = 50;
  const FILTERS = {
    status: "alerts-status", baseline_id: "alerts-machine", severity: "alerts-severity",
    kind: "alerts-kind", days: "alerts-time",
  };
  const UNSELECTED = () => ["stream", ...dinsight.period.names]; // filters that are no select's
  const EVERY = "all"; // a select that chooses nothing
  const skip = () => window.dash_clientside.no_update;
  const place = (id) => document.getElementById(id);
  const here = () => Boolean(place("alerts-list"));

  let timer = 0;
  let page = fresh();
  let shown = null; // what the dialog shows
  let part = ""; // of the dialog, that has been asked for
  let held = ""; // the id of what has, or last had, the focus in the list
  let watched = null;

  function fresh() {
    return { asked: null, again: false, signature: "", shown: STEP, told: null, chosen: new Set() };
  }

  const query = () => new URLSearchParams(window.location.search);

  /** The filters of the address, as they go to the server. */
  function search() {
    const kept = new URLSearchParams();
    for (const [name, value] of query()) {
      if ((name in FILTERS || UNSELECTED().includes(name)) && value) kept.set(name, value);
    }
    return kept;
  }

  function address(changes) {
    const next = query();
    for (const [name, value] of Object.entries(changes)) {
      if (value) next.set(name, value);
      else next.delete(name);
    }
    const text = String(next);
    window.history.replaceState(window.history.state, "", text ? `${PATH}?${text}` : PATH);
  }

  /* ---- asking ---- */

  function later(wait) {
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, wait);
  }

  function ask() {
    if (!here()) return;
    if (page.asked !== null && Date.now() - page.asked < LOST_MS) {
      page.again = true;
      return later(LOST_MS);
    }
    if (!document.hidden) {
      page.asked = Date.now();
      const { signature, shown: rows } = page;
      const data = { search: String(search()), shown: rows, signature, at: Date.now() };
      window.dash_clientside.set_props("alerts-ask", { data });
      askDetail();
    }
    return later(LOST_MS);
  }

  /** An answer came; the first time the page was opened, and nothing was asked yet. */
  function told(data) {
    if (!data) {
      window.setTimeout(open, 0);
      return null;
    }
    page.asked = null;
    page.signature = data.signature;
    page.told = data;
    later(page.again ? 0 : AGAIN_MS);
    page.again = false;
    window.setTimeout(paint, 0);
    return null;
  }

  /** The page was opened: its address says what is shown. */
  function open() {
    page = fresh();
    shown = null;
    for (const [name, id] of Object.entries(FILTERS)) {
      const value = query().get(name) || "";
      if (value) dinsight.give(id, { value });
    }
    if (dinsight.period.open(query())) dinsight.give(FILTERS.days, { value: dinsight.period.FREE });
    watch();
    view(query().get("view") || "");
    const id = Number(query().get("alert"));
    if (id) openAlert(id, "");
    later(0);
  }

  function filtered(...values) {
    if (!here()) return skip();
    const before = query();
    const given = Object.fromEntries(Object.keys(FILTERS).map(
      (name, i) => [name, values[i] === EVERY ? "" : values[i] || ""],
    ));
    const free = given.days === dinsight.period.FREE;
    dinsight.period.show(free);
    if (free) given.days = "";
    else for (const name of dinsight.period.names) given[name] = "";
    const same = Object.keys(given).every((name) => (before.get(name) || "") === given[name]);
    if (same || page.told === null) return skip(); // as it is opened, the address is what holds
    follow(given);
    return skip();
  }

  /** Show what other filters let through. */
  function follow(filters) {
    address(filters);
    page.shown = STEP;
    anew();
  }

  /** A moment of the free period was changed. */
  function timed() {
    const period = dinsight.period.chosen();
    if (period) follow(period);
  }

  function anew() {
    page.asked = null;
    later(0);
  }

  /* ---- painting ---- */

  function paint() {
    if (!here() || !page.told) return;
    const { words, unacknowledged: unseen } = page.told;
    dinsight.put("alerts-note", { text: words });
    dinsight.shell.entitle(PATH, [unseen ? `${unseen} not acknowledged` : "", "Alerts"]);
    for (const kind of ["csv", "jsonl"]) {
      const asked = search();
      asked.set("format", kind);
      place(`alerts-${kind}`).href = `${EXPORT}?${asked}`;
    }
    dinsight.alerts.paintTimes();
    paintBulk();
  }

  const boxes = () => [...document.querySelectorAll("#alerts-list input[id^=alert-take-]")];
  const idOf = (element) => Number(element.closest("[data-alert]").dataset.alert);

  function paintBulk() {
    const all = boxes();
    const chosen = all.filter((box) => box.checked).length;
    dinsight.put("alerts-bulk", { hidden: !all.length });
    dinsight.put("alerts-chosen", { text: chosen ? `${chosen} of ${all.length} chosen` : "" });
    dinsight.put("alerts-acknowledge", { hidden: !chosen });
  }

  /* ---- what a redraw takes away: Dash may make elements anew ---- */

  const observer = new MutationObserver(() => {
    dinsight.alerts.paintTimes();
    paintBulk();
    const dialog = place("alert-dialog");
    if (document.activeElement !== document.body || (dialog && dialog.open)) return;
    const back = place(held);
    if (back) back.focus({ preventScroll: true });
  });

  function watch() {
    const list = place("alerts-list");
    if (!list || list === watched) return;
    watched = list;
    observer.observe(list, { childList: true, subtree: true });
  }

  /* ---- tabs ---- */

  function view(name) {
    const quality = name === "quality";
    dinsight.put("alerts-panel-list", { hidden: quality });
    dinsight.put("alerts-panel-quality", { hidden: !quality });
    for (const tab of document.querySelectorAll("[data-alerts-view]")) {
      const chosen = tab.dataset.alertsView === (quality ? "quality" : "");
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    if (quality) count();
  }

  function show(tab) {
    address({ view: tab.dataset.alertsView });
    view(tab.dataset.alertsView);
    tab.focus();
  }

  function count() {
    const days = place("quality-period").value;
    const baseline = place("quality-machine").value;
    const data = { days, baseline_id: baseline, at: Date.now() };
    window.dash_clientside.set_props("quality-ask", { data });
  }

  /** A choice of the figures was changed: what is asked for, while they are looked at. */
  function counted(days, baseline) {
    if (!here() || query().get("view") !== "quality") return skip();
    return { days, baseline_id: baseline, at: Date.now() };
  }

  /* ---- one alert ---- */

  function openAlert(id, wanted) {
    const dialog = place("alert-dialog");
    part = wanted;
    if (!shown || shown.id !== id) {
      shown = { id, signature: "" };
      place("alert-note").value = "";
      dinsight.put("alert-acts", { hidden: true });
      dinsight.put("alert-dialog-title", { text: "Alert" });
    } else focusPart();
    if (!dialog.open) dialog.showModal();
    address({ alert: String(id) });
    askDetail();
  }

  function askDetail() {
    const dialog = place("alert-dialog");
    if (!shown || !dialog || !dialog.open) return;
    const { id, signature } = shown;
    window.dash_clientside.set_props("alert-ask", { data: { id, signature, at: Date.now() } });
  }

  function detailed(data) {
    if (!data || !shown || data.id !== shown.id) return null;
    shown = data;
    window.setTimeout(paintDetail, 0);
    return null;
  }

  function paintDetail() {
    if (!here() || !shown) return;
    const { absent, title, acknowledged, cleared, shelved, verdict } = shown;
    dinsight.put("alert-acts", { hidden: Boolean(absent) });
    dinsight.put("alert-dialog-title", { text: title || "Alert" });
    dinsight.put("alert-acknowledge", { text: acknowledged ? "Add the note" : "Acknowledge" });
    dinsight.put("alert-resolve", { hidden: Boolean(acknowledged && cleared) });
    dinsight.put("alert-unshelve", { hidden: !shelved });
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    dinsight.alerts.paintTimes();
    focusPart();
  }

  /** Bring the part of the dialog that was asked for, once. */
  function focusPart() {
    const id = { note: "alert-note", shelve: "alert-shelve", verdict: "alert-real" }[part];
    part = "";
    if (!id || !place(id)) return;
    place(id).scrollIntoView({ block: "center" });
    place(id).focus();
  }

  /** The moment until which it is put aside, as the reader's clock has it; null for none. */
  function until() {
    const wanted = place("alert-shelve").value;
    if (wanted === "other") {
      const moment = new Date(place("alert-until").value);
      return Number.isNaN(moment.getTime()) ? null : moment.toISOString();
    }
    const moment = new Date();
    if (wanted === "tomorrow") {
      moment.setDate(moment.getDate() + 1);
      moment.setHours(6, 0, 0, 0);
    } else moment.setTime(moment.getTime() + Number(wanted) * 3600e3);
    return moment.toISOString();
  }

  function deed(button) {
    const note = place("alert-note").value.trim();
    const ids = [shown.id];
    if (button.id === "alert-acknowledge") {
      if (!note && shown.acknowledged) return dinsight.shell.say("Write a note first.");
      return dinsight.alerts.act({ act: "acknowledge", ids, note });
    }
    if (button.id === "alert-resolve") return dinsight.alerts.act({ act: "resolve", ids, note });
    if (button.id === "alert-unshelve") return dinsight.alerts.act({ act: "unshelve", ids });
    if (button.id === "alert-shelve-do") {
      const moment = until();
      if (!moment) return dinsight.shell.say("Choose until when.");
      return dinsight.alerts.act({ act: "shelve", ids, until: moment });
    }
    const { verdict } = button.dataset;
    const taken = verdict === shown.verdict ? null : verdict;
    return dinsight.alerts.act({ act: "verdict", ids, verdict: taken, note });
  }

  /* ---- several at once ---- */

  let many = [];

  function askMany(ids) {
    many = ids;
    const words = many.length === 1 ? "1 alert is" : `${many.length} alerts are`;
    dinsight.put("alerts-many-text", {
      text: `${words} then acknowledged by you. Active ones stay listed as active.`,
    });
    place("alerts-many-note").value = "";
    place("alerts-many").showModal();
  }

  function pressed(button) {
    if (button.id === "alerts-acknowledge") {
      askMany(boxes().filter((box) => box.checked).map(idOf));
    } else if (button.id === "alerts-all") askMany(boxes().map(idOf));
    else if (button.id === "alerts-many-confirm") {
      const note = place("alerts-many-note").value.trim();
      dinsight.alerts.act({ act: "acknowledge", ids: many, note });
    } else if (button.id === "alerts-more") {
      page.shown += STEP;
      anew();
    } else if (button.id === "alerts-clear") clear();
    else if (button.closest(".alert-deeds")) deed(button);
  }

  function clear() {
    address(Object.fromEntries([...Object.keys(FILTERS), ...UNSELECTED()].map((name) => [name, ""])));
    for (const id of Object.values(FILTERS)) dinsight.give(id, { value: EVERY });
    dinsight.period.open(query());
    anew();
  }

  document.addEventListener("click", (event) => {
    if (!here()) return;
    const opener = event.target.closest("[data-alert-open]");
    if (opener) openAlert(Number(opener.dataset.alertOpen), opener.dataset.alertPart || "");
    const tab = event.target.closest("[data-alerts-view]");
    if (tab) show(tab);
    const button = event.target.closest("button");
    if (button && !button.disabled) pressed(button);
  });
  document.addEventListener("change", (event) => {
    if (!here()) return;
    if (event.target.id.startsWith("alert-take-")) paintBulk();
    if (dinsight.period.has(event.target.id)) timed();
    if (event.target.id === "alert-shelve") {
      dinsight.put("alert-until-field", { hidden: event.target.value !== "other" });
    }
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest && event.target.closest("[data-alerts-view]");
    if (!tab || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    show(document.querySelector(`[data-alerts-view]:not(#${tab.id})`));
  });
  document.addEventListener("close", (event) => {
    if (event.target.id !== "alert-dialog" || !here()) return;
    address({ alert: "" });
    const back = shown && place(`alert-open-${shown.id}`);
    if (back && document.activeElement === document.body) back.focus();
  }, true);
  document.addEventListener("focusin", (event) => {
    if (event.target.id && event.target.closest("#alerts-list")) held = event.target.id;
  });
  for (const news of ["alerts", "alerts-acted"]) {
    document.addEventListener(`dinsight:${news}`, () => here() && page.told && anew());
  }
  document.addEventListener("dinsight:alerts-acted", ({ detail }) => {
    if (!here()) return;
    if (detail.ok) place("alert-note").value = "";
    askDetail();
  });
  document.addEventListener("visibilitychange", () => document.hidden || (here() && anew()));

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.alerts_page = { told, filtered, detailed, counted };
})();
