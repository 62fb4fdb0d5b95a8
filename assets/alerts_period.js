/* The free period of the alerts page: two moments as the reader's clock has them, either of which
   may be left out. The address has them in UTC. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const FREE = "custom"; // the choice of a time that shows the fields
  const FIELDS = { since: "alerts-since", until: "alerts-until" };
  const place = (id) => document.getElementById(id);

  /** A moment of the address as a field has it; empty where it is none. */
  function local(text) {
    const at = new Date(text || NaN);
    if (Number.isNaN(at.getTime())) return "";
    return new Date(at.getTime() - at.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
  }

  /** The moment of a field as the address has it. */
  const named = (value) => (value ? new Date(value).toISOString() : "");

  /** Whether a period can be asked for, and what is to be said of it. */
  function judge({ since, until, incomplete }) {
    if (incomplete) return { ok: false, words: "Give both the date and the time." };
    if (since && until && since >= until) {
      return { ok: false, words: "From must come before To: choose an earlier From or a later To." };
    }
    return { ok: true, words: since || until ? "" : "Choose From, To or both." };
  }

  function read() {
    const incomplete = Object.values(FIELDS).some((id) => place(id).validity.badInput);
    const [since, until] = Object.values(FIELDS).map((id) => named(place(id).value));
    return { since, until, incomplete };
  }

  /** The period that the fields have; null where it is to be corrected, which is then said. */
  function chosen() {
    const { since, until, incomplete } = read();
    const { ok, words } = judge({ since, until, incomplete });
    dinsight.put("alerts-period-note", { text: words });
    return ok ? { since, until } : null;
  }

  /** Write what the address has into the fields; whether it has any. */
  function open(query) {
    for (const [name, id] of Object.entries(FIELDS)) {
      dinsight.give(id, { value: local(query.get(name)) });
    }
    return Object.keys(FIELDS).some((name) => local(query.get(name)));
  }

  function show(wanted) {
    dinsight.put("alerts-period", { hidden: !wanted });
    if (wanted) window.setTimeout(chosen, 0);
  }

  const has = (id) => Object.values(FIELDS).includes(id);

  dinsight.period = { FREE, names: Object.keys(FIELDS), open, show, chosen, has, local, judge };
})();
