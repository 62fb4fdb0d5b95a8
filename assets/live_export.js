/* The export dialog: from its choices to what is asked of the server, in UTC. */
(function () {
  "use strict";

  const HOUR_MS = 3600 * 1000;
  const el = (id) => document.getElementById(id);
  const none = () => window.dash_clientside.no_update;

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
  function suggest(from, to) {
    if (from || to) return;
    const now = new Date();
    window.dinsight.give("export-from", { value: local(new Date(now - HOUR_MS)) });
    window.dinsight.give("export-to", { value: local(now) });
  }

  function ask(opened, first, format, what, from, to, readings, view) {
    if (!view || !(opened || first)) return none();
    const windowed = what === "window";
    el("export-window").hidden = !windowed;
    if (windowed) suggest(from, to);
    return {
      key: view.key, baseline_id: view.baseline_id, stream: view.stream, format,
      epoch: windowed ? "all" : what === "run" ? "" : what,
      from: windowed ? utc(from) : "", to: windowed ? utc(to) : "",
      features: readings ? "1" : "",
      at: Date.now(), // asked anew each time it is opened: points come
    };
  }

  function report(view) {
    if (!view || !view.baseline_id) return none();
    const query = new URLSearchParams({ baseline_id: view.baseline_id, stream: view.stream });
    return `/dashboard/report?${query}`;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.exporting = { ask, report };
})();
