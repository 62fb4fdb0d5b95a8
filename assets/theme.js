/* The theme: light or dark. Loaded in the head, before anything is painted, so that no page ever
   flashes in the wrong one. It follows the system until somebody chooses. */
(function () {
  "use strict";
  if (window.dinsightTheme) return; // Dash adds every asset once more at the end of the page

  const KEY = "dinsight.theme";
  const KEY_SHARED = "theme"; // in the address
  const DARK = "(prefers-color-scheme: dark)";
  // Only listened to: Chromium tells of no change of a list whose new value was read before.
  const system = window.matchMedia(DARK);

  const THEMES = ["light", "dark"];
  let forced = null; // the choice where storage is blocked: kept while the page lives
  let shared = THEMES.find((name) => name === new URLSearchParams(window.location.search).get(KEY_SHARED));

  /** A view that was shared names its theme; that is not kept. */
  function chosen() {
    if (shared) return shared;
    try {
      return window.localStorage.getItem(KEY) || forced;
    } catch {
      return forced;
    }
  }

  function current() {
    return chosen() || (window.matchMedia(DARK).matches ? "dark" : "light");
  }

  function apply() {
    document.documentElement.dataset.theme = current();
    document.dispatchEvent(new CustomEvent("dinsight:theme", { detail: current() }));
  }

  function toggle() {
    forced = current() === "dark" ? "light" : "dark";
    shared = undefined;
    try {
      window.localStorage.setItem(KEY, forced);
    } catch {
      /* `forced` holds it */
    }
    apply();
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-theme-toggle]")) toggle();
  });
  system.addEventListener("change", apply);
  window.addEventListener("storage", function (event) {
    if (event.key === KEY) apply();
  });
  window.dinsightTheme = { current, chosen, toggle };
  apply();
})();
