/* The baselines page: asks for the list anew, carries presses to the server, renames in place.

   ask -> list and seen; wish -> question, which opens the dialog; deed -> done, list, message.
   One question at a time: the next is asked once the answer is there, soon while something is
   being fitted or waited for, else rarely. */
(function () {
  "use strict";

  const BUSY_MS = 1000;
  const IDLE_MS = 30000;
  const LOST_MS = 12000; // an answer that has not come by then will not come
  let asked = null; // when the question under way was sent
  let again = false; // whether something changed since then
  let timer = 0;
  let shownCard = ""; // the report card that was scrolled to
  let held = ""; // the id of what has, or last had, the focus
  let renaming = null; // {id, form}
  let watched = null; // the list that is watched for redraws

  const place = (id) => document.getElementById(id);
  const uploads = () => window.dinsight.uploads;

  function put(id, data) {
    window.dash_clientside.set_props(id, { data: { ...data, at: Date.now() } });
  }

  function later(wait) {
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, wait);
  }

  function ask() {
    if (!place("baselines-list")) return;
    if (asked !== null && Date.now() - asked < LOST_MS) {
      again = true;
      later(LOST_MS - (Date.now() - asked));
      return;
    }
    if (!document.hidden) {
      asked = Date.now();
      put("baselines-ask", {});
    }
    later(LOST_MS);
  }

  /** An answer came, or the page was opened: `data` says what there is. */
  function seen(data) {
    if (!data) return null;
    asked = null;
    // Opening the page, the first answer is here before its elements are.
    window.setTimeout(function () {
      watch();
      uploads().follow(data);
    }, 0);
    later(again ? 0 : data.busy ? BUSY_MS : IDLE_MS);
    again = false;
    return null;
  }

  const said = (data) => data && window.dinsight.shell.say(data.sentence);

  /* ---- what a redraw of the list takes away: Dash makes every element anew ---- */

  const observer = new MutationObserver(restore);

  function watch() {
    const list = place("baselines-list");
    if (!list || list === watched) return;
    watched = list;
    observer.observe(list, { childList: true });
  }

  /** Give back the form for a name, and the focus; where its row is gone, the list has it. */
  function restore() {
    const box = renaming && place(`baseline-${renaming.id}-form`);
    if (box && !box.firstChild) box.append(renaming.form);
    if (document.activeElement !== document.body) return;
    const back = place(held) || (held.startsWith("baseline-") && place("baselines-title"));
    if (back) back.focus({ preventScroll: true });
  }

  /* ---- the dialog ---- */

  /** The question came: open the dialog once it holds it. */
  function asked_(children) {
    if (!children) return;
    window.setTimeout(function () {
      const dialog = place("baselines-dialog");
      if (!dialog.open) dialog.showModal();
      dialog.querySelector("[data-closes]").focus();
    }, 0);
  }

  function wish(button) {
    const id = Number(button.dataset.baseline);
    if (button.dataset.wish === "rename") rename(id);
    else put("baselines-wish", { action: button.dataset.wish, baseline_id: id });
  }

  function doIt(button) {
    const { deed: action, baseline, map, saying } = button.dataset;
    asked = Date.now(); // its answer brings the list as well
    if (saying) window.dinsight.shell.say(saying);
    put("baselines-deed", { action, baseline_id: baseline ? Number(baseline) : null, map });
  }

  /* ---- another name, in place ---- */

  function rename(id) {
    const box = place(`baseline-${id}-form`);
    if (renaming) renaming.form.remove();
    const name = place(`baseline-${id}-name`).textContent;
    const form = document.createElement("form");
    form.innerHTML =
      '<input class="input" type="text" maxlength="200" autocomplete="off">' +
      '<button class="button small primary" type="submit">Save</button>' +
      '<button class="button small" type="button">Cancel</button>' +
      '<p class="message error" role="alert"></p>';
    const [input, , cancel, problem] = form.children;
    renaming = { id, form };
    input.id = "baselines-renamed";
    input.value = name;
    input.setAttribute("aria-label", `Name of ${name}`);
    cancel.addEventListener("click", () => close());
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      save(id, input.value).then(close, (error) => (problem.textContent = error.message));
    });
    box.append(form);
    input.select();

    function close() {
      form.remove();
      renaming = null;
      const opener = place(`baseline-${id}-rename`);
      if (opener) opener.focus();
    }
  }

  async function save(id, name) {
    const sent = window.dinsight.send("PATCH", `/api/v1/dinsight/${id}`, { name });
    const answer = await sent.catch(() => {
      throw new Error("The server cannot be reached: the name is as it was. Try again.");
    });
    if (!answer.ok) throw new Error(await uploads().reason(answer.status, await answer.text()));
    window.dinsight.shell.say("Renamed.");
    ask();
  }

  /* ---- the report card ---- */

  /** A card that was asked for comes into view once, not with every redraw. */
  function reported(children) {
    const query = children ? window.location.search : "";
    if (query && query !== shownCard) {
      window.setTimeout(function () {
        const title = place("baselines-report-title");
        if (!title) return;
        title.scrollIntoView({ block: "nearest" });
        title.focus({ preventScroll: true });
      }, 0);
    }
    shownCard = query;
  }

  document.addEventListener("click", function (event) {
    const wished = event.target.closest("[data-wish]");
    if (wished && !wished.disabled) wish(wished);
    const deed = event.target.closest("[data-deed]");
    if (deed) doIt(deed);
  });
  document.addEventListener("focusin", function ({ target }) {
    if (!target.closest("dialog")) held = target.id;
  });
  // `close` does not bubble; the button that opened the dialog may have been redrawn meanwhile.
  document.addEventListener("close", () => window.setTimeout(restore, 0), true);
  document.addEventListener("visibilitychange", () => document.hidden || ask());

  window.dinsight = window.dinsight || {};
  window.dinsight.baselines = { ask };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.baselines = {
    seen,
    said,
    asked: asked_,
    reported,
    send: (...given) => uploads().send(...given),
  };
})();
