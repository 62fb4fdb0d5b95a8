/* Proposing rows as new normal, from the panel of a point. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const value = (id) => document.getElementById(id).value;

  /** What is asked of the server; a sentence where that cannot be meant. */
  function proposal({ stream, epoch }) {
    const [first, last] = [Number(value("point-first")), Number(value("point-last"))];
    if (!Number.isInteger(first) || !Number.isInteger(last) || first < 1 || last < first) {
      return "Name the first and the last point, in this order.";
    }
    return { stream, epoch: Number(epoch), first, last, note: value("point-note") };
  }

  async function propose(button) {
    const body = proposal(button.dataset);
    if (typeof body === "string") {
      dinsight.shell.say(body);
      return;
    }
    button.disabled = true;
    try {
      const { candidates } = await dinsight.versions.send(button.dataset.baseline, ["POST", "candidates", body]);
      const rows = candidates.reduce((sum, each) => sum + each.rows, 0);
      dinsight.shell.say(
        `${dinsight.words.whole.format(rows)} ${rows === 1 ? "row waits" : "rows wait"} for review, on the page Baselines.`,
      );
    } catch (error) {
      dinsight.shell.say(error instanceof TypeError ? dinsight.versions.COULD_NOT : error.message);
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("click", function (event) {
    const button = event.target.closest("[data-propose]");
    if (button && !button.disabled) propose(button);
  });
})();
