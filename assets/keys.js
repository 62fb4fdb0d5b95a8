/* The keys of the streaming page. They never act while somebody types, nor on a wall screen. */
(function () {
  "use strict";

  const TYPING = "input, textarea, select, [contenteditable], [role=slider], [role=combobox]";
  const PRESSING = "button, a, summary, [role=button]"; // Space presses what has the focus

  function act(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (!document.getElementById("live-map") || window.dinsight.kiosk.on()) return;
    if (document.querySelector("dialog[open]")) return; // it has the keys
    if (event.target.closest(TYPING)) return;
    if (event.key === " ") {
      if (event.target.closest(PRESSING)) return;
      event.preventDefault(); // which would scroll
      if (!event.repeat) window.dinsight.live.hold();
    } else if (event.key === "Escape") {
      document.dispatchEvent(new CustomEvent("dinsight:select", { detail: null }));
    } else if (event.key === "?") {
      document.getElementById("keys-dialog").showModal();
    }
  }

  document.addEventListener("keydown", act);
})();
