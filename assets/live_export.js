/* The export dialog: its choices, in UTC, are asked of the server; and the link to the report. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const HOUR_MS = 3600 * 1000;
  const el = (id) => document.getElementById(id);
  const held = (name) => dinsight.read(el(`export-${name}`));

  let asks = 0;

  /** A moment as a field of local time holds it. */
  function local(date) {
    return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
  }

  /** What a field of local time says, in UTC; empty where it says nothing. */
  function utc(text) {
    const date = new Date(text || "");
    return Number.isNaN(date.getTime()) ? "" : date.toISOString();
  }

  /** The last hour, until somebody chooses. */
  function suggest() {
    if (held("from") || held("to")) return;
    const now = new Date();
    dinsight.put("export-from", { value: local(new Date(now - HOUR_MS)) });
    dinsight.put("export-to", { value: local(now) });
  }

  function question({ key, baseline_id, stream }) {
    const what = held("what");
    const windowed = what === "window";
    return {
      key, baseline_id, stream, what,
      format: held("format"),
      epoch: windowed ? "all" : what === "run" ? "" : what,
      from: windowed ? utc(held("from")) : "",
      to: windowed ? utc(held("to")) : "",
      features: held("readings") ? "1" : "",
    };
  }

  /** Asked anew each time that it is opened, since points come, and whenever a choice is made. */
  async function ask() {
    const { view } = dinsight.live.state();
    if (!view) return;
    const windowed = held("what") === "window";
    dinsight.put("export-window", { hidden: !windowed });
    if (windowed) suggest();
    const turn = ++asks;
    const answer = await dinsight.ask("export-ask", "export-answer", question(view));
    if (answer && turn === asks) show(answer);
  }

  function show({ about, href = "", choices }) {
    const link = el("export-link");
    if (!link) return; // the page was left
    dinsight.put("export-about", { text: about });
    if (href) link.href = href;
    else link.removeAttribute("href");
    if (choices) dinsight.offer("export-what", choices, held("what"));
  }

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-opens='export-dialog']:enabled")) ask();
  });
  document.addEventListener("change", ({ target }) => {
    if (target.closest("#export-dialog")) ask();
  });
  document.addEventListener("dinsight:opened", ({ detail: { view } }) => {
    if (!view.baseline_id) return;
    const query = new URLSearchParams({ baseline_id: view.baseline_id, stream: view.stream });
    dinsight.put("export-report", { href: `/dashboard/report?${query}` });
  });
})();
