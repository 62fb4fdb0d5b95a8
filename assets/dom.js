/* Writing into the page what changes while somebody looks.

   `put` writes into elements that React renders once and that no callback names, or that stand
   outside of Dash, so that what is written stays. Through Dash each word would cost a round through
   every component of the page. `give` is for what is a component of its own: its value is Dash's,
   and whether it is disabled, since React passes on no click of what it has disabled. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});

  function put(id, { text, style, ...more }) {
    const element = document.getElementById(id);
    if (!element) return;
    if (text !== undefined && element.textContent !== text) element.textContent = text;
    for (const [name, value] of Object.entries(style || {})) {
      if (element.style[name] !== value) element.style[name] = value;
    }
    for (const [name, value] of Object.entries(more)) {
      if (name.startsWith("aria-")) element.setAttribute(name, value);
      else if (element[name] === value) continue;
      else if (name === "disabled" && !isPlain(element)) give(id, { disabled: value });
      else element[name] = value;
    }
  }

  /** Of what is folded (`layouts/static_markup.py`) only the outermost element is React's. */
  const isPlain = (element) => !!element.parentElement.closest("[data-folded]");

  /** What a field holds; null where it holds no number. */
  function read({ type, value, checked }) {
    if (type === "checkbox") return checked;
    if (type !== "number") return value;
    return value === "" ? null : Number(value);
  }

  const offered = new WeakMap(); // of each select, as text

  /** What a select offers, each {label, value, disabled}, and what is chosen; an open one stays so. */
  function offer(id, options, value) {
    const select = document.getElementById(id);
    if (!select) return;
    const text = JSON.stringify(options);
    if (offered.get(select) !== text) {
      offered.set(select, text);
      select.replaceChildren(...options.map(optionOf));
    }
    put(id, { value: value ?? "" });
  }

  function optionOf({ label, value, disabled = false }) {
    const option = new Option(label, value);
    option.disabled = disabled;
    return option;
  }

  function give(id, props) {
    if (document.getElementById(id)) window.dash_clientside.set_props(id, props);
  }

  Object.assign(dinsight, { put, give, read, offer });
})();
