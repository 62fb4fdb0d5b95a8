/* Writing into the page what changes while somebody looks.

   `put` writes into elements that React renders once and that no callback names, so that what is
   written stays. Through Dash each word would cost a round through every component of the page,
   five milliseconds of it. `give` is for what is a component of its own: its value is Dash's. So
   is whether a button is disabled, since React passes on no click of one that it has disabled. */
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

  function give(id, props) {
    if (document.getElementById(id)) window.dash_clientside.set_props(id, props);
  }

  Object.assign(dinsight, { put, give });
})();
