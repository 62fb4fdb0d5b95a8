/* The dialog of a baseline's rules: opened by any button with `data-rules`, on any page.

   It stands outside of Dash (`layouts/alert_rules.py`): what it asks for comes as HTML and is put
   into it. Which of the form's parts show follows from the rule's kind. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const UNREAD = "The rules could not be read. Close this and open it again.";
  const place = (id) => document.getElementById(id);

  let rules = null; // {baseline_id, forms}, as the server told
  let asked = null; // the baseline that was asked for
  let editing = null; // the rule in the form; null for a new one
  let wanted = ""; // the rule whose form is to be opened once it is known
  let dropping = null;
  let focus = ""; // what gets the focus once the list is drawn anew
  let looks = 0;
  let wishes = 0;

  async function ask() {
    const [baseline, look] = [asked, ++looks];
    const found = await dinsight.ask("rules-ask", "rules-told", { baseline_id: baseline });
    if (look === looks) told(baseline, found);
  }

  /** The baseline that the page is about, where a button does not say. */
  function ofPage() {
    if (place("live-map")) return dinsight.live.state().view?.baseline_id ?? null;
    const chosen = place("alerts-machine");
    if (!chosen) return null;
    if (chosen.value !== "all") return Number(chosen.value);
    const machines = [...chosen.options].filter(({ value }) => value !== "all");
    return machines.length ? Number(machines[0].value) : null;
  }

  function open({ rules: baseline, rule = "" }) {
    asked = baseline ? Number(baseline) : ofPage();
    if (asked === null) return dinsight.shell.say("Choose a machine first.");
    if (!rules || rules.baseline_id !== asked) dinsight.put("rules-list", { text: "Reading …" });
    rules = null;
    wanted = rule;
    focus = "";
    say("");
    close();
    dinsight.put("rules-title", { text: "Rules" });
    if (!place("rules-dialog").open) place("rules-dialog").showModal();
    return ask();
  }

  function told(baseline, found) {
    if (!found || found.error) {
      if (!rules) dinsight.put("rules-list", { text: "" });
      say(found ? found.error : UNREAD, false);
      return;
    }
    rules = { baseline_id: baseline, forms: found.forms };
    dinsight.put("rules-list", { innerHTML: found.list });
    dinsight.put("rules-title", { text: `Rules of ${found.name}` });
    if (wanted && rules.forms[wanted]) edit(wanted);
    wanted = "";
    const back = place(focus);
    if (back && place("rules-dialog").open) back.focus();
    focus = "";
  }

  /* ---- the form ---- */

  const fields = () => [...place("rules-form").elements].filter(({ name }) => name);

  function held() {
    return Object.fromEntries(fields().map((field) => [field.name, dinsight.read(field)]));
  }

  function edit(id) {
    editing = id === null ? null : Number(id);
    place("rules-form").reset();
    const values = editing === null ? {} : rules.forms[id];
    for (const field of fields()) {
      if (!(field.name in values)) continue;
      if (field.type === "checkbox") field.checked = values[field.name];
      else field.value = values[field.name];
    }
    dinsight.put("rules-kind", { disabled: editing !== null }); // a rule's kind stays
    dinsight.put("rules-form-title", { text: editing === null ? "Add a rule" : "Change the rule" });
    dinsight.put("rules-form", { hidden: false });
    dinsight.put("rules-new", { hidden: true });
    say("");
    explain();
    place("rules-form").scrollIntoView({ block: "nearest" });
    place("rules-name").focus();
  }

  function close() {
    editing = null;
    dinsight.put("rules-form", { hidden: true });
    dinsight.put("rules-new", { hidden: false });
  }

  /** Show what a rule of this kind has, and say what it would do. */
  async function explain() {
    const form = held();
    shape(form);
    const wish = ++wishes;
    const answer = await dinsight.ask("rules-wish", "rules-words", form);
    if (!answer || wish !== wishes) return;
    const className = `rules-sentence ${answer.ok ? "" : "message error"}`.trim();
    dinsight.put("rules-sentence", { text: answer.sentence, className });
  }

  function shape({ kind, lasts }) {
    const machine = kind === "level" || kind === "score";
    const has = new Set(machine ? [kind, lasts] : [kind]);
    for (const part of document.querySelectorAll("[data-rule-part]")) {
      part.hidden = !part.dataset.rulePart.split(" ").some((name) => has.has(name));
    }
  }

  /** Do it, and read the list anew. */
  async function act(deed) {
    const baseline = asked;
    const answer = await dinsight.ask("rules-deed", "rules-done", { ...deed, baseline_id: baseline });
    if (!answer) return;
    if (baseline !== asked) { // the dialog is about another by now
      dinsight.shell.say(answer.sentence);
      return;
    }
    say(answer.sentence, answer.ok);
    if (!answer.ok) return;
    if (deed.act === "save" && !place("rules-form").hidden) {
      close();
      focus = focus || "rules-new";
    }
    ask();
    dinsight.alerts.ask();
  }

  function save() {
    focus = editing === null ? "" : `rule-change-${editing}`;
    act({ act: "save", rule_id: editing, form: held() });
  }

  function say(text, ok = true) {
    dinsight.put("rules-message", { text, className: `message ${ok ? "success" : "error"}` });
  }

  function press({ id, dataset }) {
    const { ruleAct: what, ruleId: rule } = dataset;
    if (what === "change") return edit(rule);
    if (what === "delete") {
      dropping = Number(rule);
      const { name } = rules.forms[rule];
      dinsight.put("rules-delete-text", {
        text: `${name} watches this machine no more. Its alerts stay, active ones are closed.`,
      });
      return place("rules-delete-dialog").showModal();
    }
    focus = id;
    return act({ act: what, rule_id: Number(rule) });
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-rules]");
    if (opener && !opener.disabled) open(opener.dataset);
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.ruleAct) press(button);
    else if (button.id === "rules-new") edit(null);
    else if (button.id === "rules-cancel") {
      close();
      place("rules-new").focus();
    } else if (button.id === "rules-save") save();
    else if (button.id === "rules-delete-confirm") {
      if (editing === dropping) close();
      focus = "rules-new";
      act({ act: "delete", rule_id: dropping });
    }
  });
  const isTyped = ({ type }) => type === "text" || type === "number";
  document.addEventListener("input", ({ target }) => {
    if (isTyped(target) && target.closest("#rules-form")) explain();
  });
  document.addEventListener("change", ({ target }) => {
    if (!isTyped(target) && target.closest("#rules-form")) explain();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.closest("#rules-form input")) return;
    event.preventDefault();
    save();
  });

  dinsight.rules = { baseline: () => asked, held, save };
})();
