/* The dialog that shares a stream to a screen: its links are listed, made and revoked. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const place = (id) => document.getElementById(id);

  let busy = false; // a link is told once: nothing comes between a deed and its answer

  async function ask(deed) {
    const { view } = dinsight.live.state();
    if (!view || busy) return;
    busy = true;
    const { key, baseline_id, stream } = view;
    const question = { key, baseline_id, stream, ...deed };
    try {
      const told = await dinsight.ask("displays-deed", "displays-told", question);
      if (told && place("displays-dialog")) show(told, deed);
    } finally {
      busy = false;
    }
  }

  /** What came of it; after an error the list and the field stay as they are. */
  function show({ ok, sentence, list, link = "" }, { act }) {
    const className = `message ${ok ? "success" : "error"}`;
    dinsight.put("displays-message", { text: sentence, className });
    dinsight.put("displays-link", { innerHTML: link });
    if (!ok) return;
    dinsight.put("displays-list", { innerHTML: list });
    if (act === "make") dinsight.put("displays-name", { value: "" });
    if (act === "revoke") place("displays-message").focus();
  }

  function make() {
    ask({ act: "make", name: place("displays-name").value, shows: place("displays-shows").value });
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button || button.disabled) return;
    if (button.id === "displays-open") ask({ act: "look" });
    else if (button.id === "displays-make") make();
    else if (button.dataset.revokes) ask({ act: "revoke", display: Number(button.dataset.revokes) });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "displays-name") return;
    event.preventDefault();
    make();
  });
})();
