/* "Try on history": the rule of the rules dialog, or a sensitivity, on a run that is kept.

   The dialog stands outside of Dash (`layouts/trials.py`): what it asks for comes as HTML and is put
   into it. `turn` tells the answers to what is asked now from those to what was asked before. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LOOK_MS = 400;
  const LOST_MS = 12000; // an answer that has not come by then is asked for again
  const UNREAD = "The history could not be read. Close this and open it again.";
  const USE = { rule: "Use this rule", sensitivity: "Use this sensitivity" };
  const place = (id) => document.getElementById(id);

  let asked = null; // what the dialog is open for: {turn, what, baseline_id, stream, epoch, form}
  let trial = null; // the one that goes on: {number}, which is null until it is known
  let turns = 0;
  let present = null; // the sensitivity that the stream has
  let timer = 0;

  /* ---- asking ---- */

  /** What the streaming page looks at, where it is the same baseline. */
  function lookedAt(baseline) {
    const { view, cursor } = place("live-map") ? dinsight.live.state() : {};
    if (!view || (baseline && view.baseline_id !== baseline)) return { baseline_id: baseline };
    const { epoch = cursor?.epoch ?? null } = view.playback || {};
    return { baseline_id: view.baseline_id, stream: view.stream, epoch };
  }

  function open(what) {
    const ofRule = what === "rule";
    const seen = lookedAt(ofRule ? dinsight.rules.baseline() : null);
    if (!seen.baseline_id) return dinsight.shell.say("Choose a machine first.");
    asked = { what, turn: ++turns, ...seen, form: ofRule ? dinsight.rules.held() : null };
    forget();
    dinsight.put("trial-about", { text: "Reading …" });
    dinsight.put("trial-choices", { hidden: true });
    dinsight.put("trial-use", { text: USE[what] });
    place("trial-dialog").showModal();
    const { turn } = asked;
    return dinsight.ask("trial-ask", "trial-told", asked).then((answer) => {
      if (asked && asked.turn === turn) told(answer);
    });
  }

  function send(data) {
    const [run, sensitivity] = [place("trial-run").value, place("trial-sensitivity").value];
    return dinsight.ask("trial-deed", "trial-followed", { ...data, run, sensitivity }).then(followed);
  }

  function deed(act) {
    const { number } = trial;
    send({ ...asked, act, trial: number });
    window.clearTimeout(timer);
    timer = window.setTimeout(() => deed(number === null ? act : "look"), LOST_MS);
  }

  function start() {
    forget();
    asked.turn = ++turns;
    trial = { number: null };
    paint({ status: "waiting", progress: 0 });
    place("trial-cancel").focus();
    deed("start");
  }

  function cancel() {
    if (!trial) return;
    if (trial.number !== null) send({ ...asked, act: "cancel", trial: trial.number });
    window.clearTimeout(timer);
    trial = null;
    paint({ status: "cancelled" });
  }

  /* ---- answers ---- */

  function told(answer) {
    if (!answer) {
      dinsight.put("trial-about", { text: UNREAD });
      return;
    }
    present = answer.present ?? null;
    dinsight.put("trial-about", { innerHTML: answer.about });
    dinsight.offer("trial-run", answer.runs || [], answer.run);
    dinsight.offer("trial-sensitivity", answer.sensitivities || [], present);
    const ready = !answer.refused && !answer.empty;
    dinsight.put("trial-choices", { hidden: !ready });
    dinsight.put("trial-sensitivity-field", { hidden: asked.what !== "sensitivity" });
    if (answer.empty) say(answer.empty);
    if (ready) place("trial-run").focus();
  }

  function followed(answer) {
    if (!answer) return;
    const busy = BUSY.includes(answer.status);
    if (!asked || answer.turn !== asked.turn || !trial) { // of what is tried no more
      if (busy) send({ act: "cancel", trial: answer.trial });
      return;
    }
    window.clearTimeout(timer);
    if (answer.trial) trial.number = answer.trial;
    if (busy) {
      timer = window.setTimeout(() => deed("look"), LOOK_MS);
    } else trial = null;
    dinsight.put("trial-result", { innerHTML: answer.result || "" });
    paint(answer);
  }

  /* ---- what is shown ---- */

  const BUSY = ["waiting", "processing"];
  const WORDS = { waiting: "Waiting for its turn …", cancelled: "Cancelled." };

  function paint({ status, progress, sentence }) {
    const busy = BUSY.includes(status);
    const failed = status === "failed";
    const held = document.activeElement === place("trial-cancel");
    dinsight.put("trial-start", { hidden: busy, text: failed ? "Retry" : "Try" });
    dinsight.put("trial-cancel", { hidden: !busy });
    dinsight.put("trial-bar", { hidden: !busy, "aria-valuenow": String(progress || 0) });
    dinsight.put("trial-fill", { style: { width: `${progress || 0}%` } });
    say(sentence || WORDS[status] || `${progress} % of the run`, failed);
    dinsight.put("trial-use", { hidden: status !== "completed" || !another() });
    if (held && !busy) place(failed || status === "cancelled" ? "trial-start" : "trial-message").focus();
  }

  /** Whether there is anything to save: not the sensitivity that the stream has already. */
  function another() {
    return asked.what === "rule" || place("trial-sensitivity").value !== present;
  }

  function say(text, failed = false) {
    dinsight.put("trial-message", { text, className: `message ${failed ? "error" : ""}`.trim() });
  }

  /** Nothing is tried, and nothing came of it. */
  function forget() {
    window.clearTimeout(timer);
    trial = null;
    dinsight.put("trial-result", { text: "" });
    dinsight.put("trial-start", { hidden: false, text: "Try" });
    for (const id of ["trial-cancel", "trial-bar", "trial-use"]) dinsight.put(id, { hidden: true });
    say("");
  }

  /** Save what was tried, as its own dialog or control would. */
  function use() {
    const { what } = asked;
    const { value } = place("trial-sensitivity");
    place("trial-dialog").close();
    if (what === "sensitivity") dinsight.detection.sense(value);
    else {
      dinsight.rules.save();
      if (!place("rules-name").value.trim()) place("rules-name").focus();
    }
  }

  /** The alert of a row of the table stands out in the timeline. */
  function point(target, on) {
    const row = asked && target.closest && target.closest("[data-trial-row]");
    const mark = row && document.querySelector(`[data-trial-mark="${row.dataset.trialRow}"]`);
    if (mark) mark.classList.toggle("trial-mark-on", on);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.disabled) return;
    if (button.dataset.trial) open(button.dataset.trial);
    else if (button.id === "trial-start") start();
    else if (button.id === "trial-cancel") cancel();
    else if (button.id === "trial-use") use();
  });
  document.addEventListener("change", ({ target }) => {
    if (target.id !== "trial-run" && target.id !== "trial-sensitivity") return;
    cancel();
    forget();
  });
  document.addEventListener("close", ({ target }) => {
    if (target.id !== "trial-dialog") return;
    cancel();
    forget();
    asked = null;
  }, true);
  for (const [on, off] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
    document.addEventListener(on, ({ target }) => point(target, true));
    document.addEventListener(off, ({ target }) => point(target, false));
  }
})();
