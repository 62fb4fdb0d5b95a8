/* The dialog of a baseline's rules: opened by any button with `data-rules`, on any page.

   ask -> list and told; deed -> done -> ask. The form's values are Dash's, as the server reads
   them; which of its parts show follows from the rule's kind. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const FIELDS = [
    "name", "kind", "level", "score", "lasts", "needed", "window", "seconds", "hysteresis",
    "severity", "mute_in_areas",
  ];
  const DEFAULTS = {
    name: "", kind: "score", level: "alarm", score: 1.2, lasts: "rows", needed: 3, window: 5,
    seconds: 60, hysteresis: 0.9, severity: "high", mute_in_areas: false,
  };
  const place = (id) => document.getElementById(id);
  const idOf = (name) => (name === "mute_in_areas" ? "rules-mute" : `rules-${name}`);

  let rules = null; // {baseline_id, forms}, as the server told
  let asked = null; // the baseline that was asked for
  let editing = null; // the rule in the form; null for a new one
  let wanted = ""; // the rule whose form is to be opened once it is known
  let dropping = null;
  let focus = ""; // what gets the focus once the list is drawn anew

  function ask() {
    const data = { baseline_id: asked, at: Date.now() };
    window.dash_clientside.set_props("rules-ask", { data });
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
    if (!rules || rules.baseline_id !== asked) dinsight.give("rules-list", { children: "Reading …" });
    rules = null;
    wanted = rule;
    focus = "";
    say("");
    close();
    dinsight.put("rules-title", { text: "Rules" });
    if (!place("rules-dialog").open) place("rules-dialog").showModal();
    return ask();
  }

  function told(data) {
    if (!data) return;
    if (data.error) {
      say(data.error, false);
      return;
    }
    if (data.baseline_id !== asked) return;
    rules = data;
    dinsight.put("rules-title", { text: `Rules of ${data.name}` });
    if (wanted && data.forms[wanted]) edit(wanted);
    wanted = "";
    window.setTimeout(() => {
      const back = place(focus);
      if (back && place("rules-dialog").open) back.focus();
      focus = "";
    }, 0);
  }

  /* ---- the form ---- */

  function edit(id) {
    editing = id === null ? null : Number(id);
    const values = id === null ? DEFAULTS : rules.forms[id];
    for (const name of FIELDS) dinsight.give(idOf(name), { value: values[name] });
    dinsight.give("rules-kind", { disabled: editing !== null }); // a rule's kind stays
    dinsight.put("rules-form-title", { text: editing === null ? "Add a rule" : "Change the rule" });
    dinsight.put("rules-form", { hidden: false });
    dinsight.put("rules-new", { hidden: true });
    say("");
    shape(values.kind, values.lasts);
    place("rules-form").scrollIntoView({ block: "nearest" });
    place("rules-name").focus();
  }

  function close() {
    editing = null;
    dinsight.put("rules-form", { hidden: true });
    dinsight.put("rules-new", { hidden: false });
  }

  /** Show what a rule of this kind has. */
  function shape(kind, lasts) {
    const machine = kind === "level" || kind === "score";
    const has = new Set(machine ? [kind, lasts] : [kind]);
    for (const part of document.querySelectorAll("[data-rule-part]")) {
      part.hidden = !part.dataset.rulePart.split(" ").some((name) => has.has(name));
    }
  }

  function act(deed) {
    const data = { ...deed, baseline_id: asked, at: Date.now() };
    window.dash_clientside.set_props("rules-deed", { data });
  }

  function done(answer) {
    if (!answer) return;
    say(answer.sentence, answer.ok);
    if (!answer.ok) return;
    if (!place("rules-form").hidden && saving) {
      close();
      focus = focus || "rules-new";
    }
    saving = false;
    ask();
    document.dispatchEvent(new CustomEvent("dinsight:rules", { detail: { baseline_id: asked } }));
    dinsight.alerts.ask();
  }

  let saving = false;

  function save() {
    saving = true;
    act({ act: "save", rule_id: editing });
    focus = editing === null ? "" : `rule-change-${editing}`;
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
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.closest("#rules-form input")) return;
    event.preventDefault();
    save();
  });

  dinsight.rules = { baseline: () => asked, editing: () => editing, save };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.alert_rules = { told, done, shape };
})();
