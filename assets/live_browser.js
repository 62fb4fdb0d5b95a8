/* What the streaming page needs of the browser: what it can draw, its address, its labels. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const PATH = "/dashboard/streaming";

  const isAt = (path) => dinsight.shell.bare(path) === PATH;

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
    if (view.baseline_id !== null && !new URLSearchParams(window.location.search).size) {
      window.history.replaceState(window.history.state, "", PATH + search(view));
    }
    dinsight.address.show();
  }

  /** The query that shows another stream in the same way. */
  function search({ baseline_id: id, stream }, more = {}) {
    const other = stream && stream !== "default" ? stream : null;
    // Of what was shown before.
    const mine = {
      point: null, compare: null, state: null, q: null, view: null, epoch: null, at: null,
    };
    const wanted = { ...mine, baseline_id: id, stream: other, ...more };
    return dinsight.address.with(window.location.search, wanted);
  }

  /** Dash's slider takes no label of its own, and comes later than the page. */
  function nameSlider() {
    const thumb = document.querySelector("#live-size [role=slider]");
    if (thumb) thumb.setAttribute("aria-label", "Point size");
    else if (document.getElementById("live-map")) window.setTimeout(nameSlider, 200);
  }

  dinsight.browser = { PATH, isAt, screen, address, search, nameSlider };
})();
