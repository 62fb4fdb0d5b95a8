/* The wall view, `?kiosk=1`: no controls, large type, and nobody to press reload for weeks.

   It loads itself anew when the server has become another program, when the graphics card has let
   go of the map, and when it has heard nothing for long although the server answers; never while
   the server is away, since a browser's own error page does not come back. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const patience = {
    upgrade: 30000, // ms that every answer comes from the new program: instances change in turn
    silence: 300000, // ms without an answer to draw
  };
  const POINT = 10; // px: seen from five metres
  const now = () => window.performance.now();

  let name = "";
  let version = null; // of the first answer
  let changedAt = null;
  let heardAt = now();
  let asking = false;

  function on() {
    return new URLSearchParams(window.location.search).get("kiosk") === "1";
  }

  function dress() {
    document.documentElement.toggleAttribute("data-kiosk", on());
  }

  function opened({ view }) {
    dress();
    name = view.name;
    dinsight.put("displays-wall", { href: wall(view) });
    dinsight.put("displays-open", { disabled: view.baseline_id === null });
    if (!on()) return;
    dinsight.live.choose("auto", true);
    dinsight.live.choose("size", POINT);
  }

  function wall(view) {
    return `${dinsight.browser.PATH}${dinsight.browser.search(view)}&kiosk=1`;
  }

  function heard({ status }) {
    heardAt = now();
    if (!status.version) return;
    version = version || status.version;
    if (status.version === version) changedAt = null;
    else if (changedAt === null) changedAt = now();
  }

  function paint() {
    const { status, seenAt } = dinsight.live.state();
    dinsight.put("kiosk-name", { text: name });
    dinsight.put("kiosk-count", { text: status ? dinsight.words.count(status) : "–" });
    dinsight.put("kiosk-age", { text: status ? age(status, seenAt) : "" });
    dinsight.put("kiosk-clock", { text: clock(new Date()) });
  }

  function age(status, seenAt) {
    if (status.age === null) return "no point yet";
    return `last point ${dinsight.words.ago(status.age + (now() - seenAt) / 1000)}`;
  }

  /** The time of day; with seconds, so that a screen that hangs is seen to hang. */
  function clock(moment) {
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return new Intl.DateTimeFormat(undefined, time).format(moment);
  }

  function tick() {
    if (!on() || !document.getElementById("kiosk-clock")) return;
    paint();
    const upgraded = changedAt !== null && now() - changedAt >= patience.upgrade;
    if (upgraded || now() - heardAt >= patience.silence) renew();
  }

  /** Load the page anew once the server is there for it. */
  async function renew() {
    if (asking) return;
    asking = true;
    const ready = await window.fetch("/readyz").then((answer) => answer.ok, () => false);
    asking = false;
    if (ready) window.location.reload();
  }

  /** Keep the screen on, where the browser lets a page do so: over HTTPS and while it is shown. */
  function stayAwake() {
    if (!on() || document.hidden || !navigator.wakeLock) return;
    navigator.wakeLock.request("screen").catch(() => {}); // refused: the system decides, as before
  }

  dress();
  stayAwake();
  window.setInterval(tick, 1000);
  window.addEventListener("popstate", dress);
  document.addEventListener("visibilitychange", stayAwake);
  document.addEventListener("webglcontextlost", () => on() && renew(), true);
  document.addEventListener("dinsight:opened", ({ detail }) => opened(detail));
  document.addEventListener("dinsight:status", ({ detail }) => heard(detail));

  dinsight.kiosk = { on, heard, patience };
})();
