/* What the streaming page needs of the browser: what it can draw, its address, its labels. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const PATH = "/dashboard/streaming";

  /** What the figure is made for. */
  function screen() {
    return {
      gl: hasWebGL(),
      touch: window.matchMedia("(pointer: coarse)").matches,
      theme: window.dinsightTheme.current(),
    };
  }

  let webGL = null;

  /** Also WebGL in software draws faster than plain SVG: 25 ms a tick to 150 with 1,800 points. */
  function hasWebGL() {
    if (webGL === null) {
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("webgl");
      webGL = Boolean(context);
      const loss = context && context.getExtension("WEBGL_lose_context");
      if (loss) loss.loseContext(); // a browser keeps only a few
    }
    return webGL;
  }

  /** Name in the address what is shown, without a step in the history. */
  function address(view) {
    const named = new URLSearchParams(window.location.search).has("baseline_id");
    if (named || view.baseline_id === null) return;
    const query = search({ baseline_id: view.baseline_id, stream: view.stream });
    window.history.replaceState(window.history.state, "", PATH + query);
  }

  /** The address's query with these changes; null takes one out, and what others noted stays. */
  function search(changes) {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(changes)) {
      const usual = name === "stream" && value === "default";
      if (value === null || usual) query.delete(name);
      else query.set(name, value);
    }
    return `?${query}`;
  }

  /** Dash's slider takes no label of its own. */
  function nameSlider() {
    const thumb = document.querySelector("#live-size [role=slider]");
    if (thumb) thumb.setAttribute("aria-label", "Point size");
    else if (document.getElementById("live-size")) window.setTimeout(nameSlider, 200);
  }

  dinsight.browser = { PATH, screen, address, search, nameSlider };
})();
