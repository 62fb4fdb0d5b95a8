/* Choices of a view: kept on this device for who is signed in, and named in the address, so that a
   view can be shared; a wall screen keeps none and stays at its address. The address wins over what
   is kept; it names only what differs from the usual and keeps what it does not know. Any part of
   the page declares its own:

     dinsight.address.declare("size", { usual: 6, read: (text) => Number(text) || undefined });
     dinsight.address.get("size");       dinsight.address.set("size", 9);

   `read` gives undefined for a text that makes no sense. What is not `shared` is only kept. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const declared = new Map();
  let values = new Map(); // as this opening of the page has them

  function declare(name, { usual = null, read = (text) => text, write = String, shared = true }) {
    declared.set(name, { usual, read, write, shared });
  }

  function get(name) {
    if (!values.has(name)) values.set(name, found(name));
    return values.get(name);
  }

  function found(name) {
    const { usual, read, shared } = declared.get(name);
    const named = shared ? new URLSearchParams(window.location.search).get(name) : null;
    for (const text of [named, kept()[name]]) {
      const value = typeof text === "string" ? read(text) : undefined;
      if (value !== undefined) return value;
    }
    return usual;
  }

  /** Somebody chose: keep it and name it; whether it is another value than before. */
  function set(name, value) {
    if (same(value, get(name))) return false;
    const { usual, write } = declared.get(name);
    values.set(name, value);
    const all = kept();
    if (same(value, usual)) delete all[name];
    else all[name] = write(value);
    if (!dinsight.kiosk.on()) dinsight.shell.remember(key(), JSON.stringify(all));
    show();
    return true;
  }

  /** Take the address as it is now: what was chosen before counts only as far as it is kept. */
  function renew() {
    values = new Map();
  }

  /** Name in the address what differs from the usual, without a step in the history. */
  function show() {
    const { pathname, search, hash } = window.location;
    if (!dinsight.browser.isAt(pathname) || dinsight.kiosk.on()) return;
    const query = with_(search);
    if (query === search || (!search && !query)) return;
    window.history.replaceState(window.history.state, "", pathname + query + hash);
  }

  /** The query of an address with the choices of this view, and `more`, in it. */
  function with_(search, more = {}) {
    const query = new URLSearchParams(search);
    for (const [name, { usual, write, shared }] of declared) {
      if (!shared) continue;
      const value = get(name);
      if (same(value, usual)) query.delete(name);
      else query.set(name, write(value));
    }
    const theme = window.dinsightTheme.chosen(); // null: that of whoever looks
    for (const [name, value] of Object.entries({ theme, ...more })) {
      if (value === null) query.delete(name);
      else query.set(name, value);
    }
    return query.size ? `?${query}` : "";
  }

  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  function key() {
    const who = document.getElementById("account-who");
    return `dinsight.view ${who ? who.textContent : ""}`;
  }

  function kept() {
    try {
      return JSON.parse(dinsight.shell.recall(key())) || {};
    } catch {
      return {}; // it was not written by this page
    }
  }

  document.addEventListener("dinsight:theme", () => dinsight.browser && show());

  dinsight.address = { declare, get, set, renew, show, with: with_ };
})();
