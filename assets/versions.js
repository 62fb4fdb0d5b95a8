/* The page of a baseline's versions: asks for what is there anew, and does what is pressed.

   One question at a time; the next soon while a version is being fitted, else rarely. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const PATH = "/dashboard/versions";
  const BUSY_MS = 1000;
  const IDLE_MS = 15000;
  const LOST_MS = 12000; // an answer that has not come by then will not come
  const COULD_NOT = "The server cannot be reached: nothing was done. Try again.";
  let timer = 0;

  const place = (id) => document.getElementById(id);
  const here = () => dinsight.shell.bare(window.location.pathname) === PATH;
  const number = () => new URLSearchParams(window.location.search).get("baseline_id");

  function later(wait) {
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, wait);
  }

  function ask() {
    if (!place("versions-ask") && !place("versions-head")) return;
    if (!document.hidden) {
      const data = { ...dinsight.browser.screen(), at: Date.now() };
      window.dash_clientside.set_props("versions-ask", { data });
    }
    later(LOST_MS);
  }

  /** An answer came; the first time the page was opened, and nothing was asked yet. */
  function told(data) {
    if (data) later(data.busy ? BUSY_MS : IDLE_MS);
    else window.setTimeout(ask, 0);
    return null;
  }

  /* ---- what is pressed ---- */

  const taken = () =>
    [...document.querySelectorAll("#versions-queue input[type=checkbox]:checked")].map((box) =>
      Number(box.id.replace("versions-take-", "")),
    );

  /** Method, path and body of what a button does; a sentence where it cannot be done. */
  function request({ review, candidate, version }) {
    if (review === "refuse") return ["DELETE", `candidates/${candidate}`];
    if (review === "adopt") return ["POST", `versions/${version}/adopt`];
    if (review === "discard") return ["DELETE", `versions/${version}`];
    const candidates = taken();
    if (!candidates.length) return "Take some rows first: none is chosen.";
    return ["POST", "versions", { candidates, note: place("versions-note").value }];
  }

  const DONE = { make: "The version is being fitted: compare it when it is ready." };

  async function send(baseline, [method, path, body]) {
    const answer = await dinsight.send(method, `/api/v1/dinsight/${baseline}/${path}`, body);
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    return said.data;
  }

  async function act(button) {
    const wanted = request(button.dataset);
    if (typeof wanted === "string") {
      dinsight.shell.say(wanted);
      return;
    }
    button.disabled = true; // a plain element's: it is drawn anew when it is done
    try {
      const data = await send(number(), wanted);
      dinsight.shell.say(DONE[button.dataset.review] || data.message);
    } catch (error) {
      dinsight.shell.say(error instanceof TypeError ? COULD_NOT : error.message);
    } finally {
      button.disabled = false;
      ask();
    }
  }

  document.addEventListener("click", function (event) {
    const button = event.target.closest("[data-review]");
    if (button && !button.disabled) act(button);
  });
  document.addEventListener("visibilitychange", () => document.hidden || (here() && ask()));
  document.addEventListener("dinsight:theme", () => here() && ask());

  dinsight.versions = { send, COULD_NOT };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.versions = { told };
})();
