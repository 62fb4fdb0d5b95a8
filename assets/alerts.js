/* Alerts on every page: the badge in the header, the voice that tells of a new one, and the one
   way in which a page does something about alerts.

   Who listens on `document`: `dinsight:alerts` {active, unacknowledged, severity} when it has
   changed, `dinsight:alerts-acted` {ok} after something was done. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const AGAIN_MS = 10000;
  const SOON_MS = 300;
  const TIMES_MS = 1000;
  let timer = 0;
  let known = null;
  let revision = null; // of the stream that is looked at

  const place = (id) => document.getElementById(id);

  function later(wait) {
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, wait);
  }

  function ask() {
    later(AGAIN_MS);
    if (document.hidden || !place("alerts-badge")) return;
    dinsight.ask("alerts-present-ask", "alerts-present", {}).then(present);
  }

  function present(found) {
    if (!found || "failed" in found) return;
    const before = known;
    known = found;
    paint();
    if (before && found.unacknowledged > before.unacknowledged) announce(found);
    if (JSON.stringify(before) !== JSON.stringify(found)) tell("alerts", found);
  }

  function announce({ unacknowledged: unseen }) {
    const text = unseen === 1
      ? "A new alert. Nobody has acknowledged it."
      : `A new alert. ${unseen} are not acknowledged.`;
    const voice = place("alerts-announce");
    if (!voice) return;
    voice.textContent = "";
    window.setTimeout(() => { voice.textContent = text; }, 50); // else the same again says nothing
  }

  function paint() {
    const badge = place("alerts-badge");
    if (!badge || !known) return;
    const { unacknowledged: unseen, severity } = known;
    const text = unseen > 99 ? "99+" : String(unseen);
    dinsight.put("alerts-badge", {
      hidden: !unseen, className: `nav-badge nav-badge-${severity || "low"}`,
    });
    if (badge.dataset.count === text) return;
    badge.dataset.count = text;
    const words = document.createElement("span");
    words.className = "sr-only";
    words.textContent = " not acknowledged";
    badge.replaceChildren(text, words);
  }

  /** Do something about alerts: acknowledge, resolve, shelve, unshelve or verdict. */
  function act(deed) {
    dinsight.ask("alerts-deed", "alerts-done", deed).then(done);
  }

  function done(answer) {
    if (!answer) return;
    dinsight.shell.say(answer.sentence);
    tell("alerts-acted", answer);
    later(0);
  }

  function tell(what, detail) {
    document.dispatchEvent(new CustomEvent(`dinsight:${what}`, { detail }));
  }

  /* ---- moments and how long ---- */

  /** "14:02", with the date where it is not today's. */
  function clock(iso) {
    const moment = new Date(iso);
    const now = new Date();
    const today = moment.toDateString() === now.toDateString();
    const year = moment.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    const date = today ? {} : { ...year, month: "short", day: "numeric" };
    const form = { ...date, hour: "2-digit", minute: "2-digit" };
    return new Intl.DateTimeFormat(undefined, form).format(moment);
  }

  function paintTimes() {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time.local-time")) {
      const iso = time.getAttribute("datetime");
      const text = clock(iso);
      if (time.textContent !== text) time.textContent = text;
      if (time.title !== iso) time.title = iso;
    }
    for (const span of document.querySelectorAll(".alert-span")) {
      const { from, to } = span.dataset;
      const until = to ? Date.parse(to) : Date.now();
      const text = `(${dinsight.words.span((until - Date.parse(from)) / 1000)})`;
      if (span.textContent !== text) span.textContent = text;
    }
  }

  document.addEventListener("dinsight:status", ({ detail }) => {
    const { alerts } = detail.status;
    if (!alerts) return;
    const mark = `${detail.view.key}/${alerts.revision}`;
    if (revision !== null && revision !== mark) later(SOON_MS);
    revision = mark;
  });
  document.addEventListener("visibilitychange", () => document.hidden || later(0));
  window.addEventListener("load", () => {
    window.setInterval(paintTimes, TIMES_MS);
    later(SOON_MS);
  });

  dinsight.alerts = { act, clock, paintTimes, ask: () => later(0), known: () => known };
})();
