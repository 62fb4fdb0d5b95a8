/* Opening a stream. What the address asks for is asked as soon as the scripts are here, while Dash
   still makes the page; what comes goes into the page's controls and, with its first points and as
   it is to be shown, into the map: drawing that is what takes longest, so it is drawn once. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const LOOK_MS = 50;
  const EARLY_MS = 15000; // and nobody waits for the page any more: it was left before it was made
  let wants = 0; // how often was asked: each opening has a key of its own
  let turn = 0; // of what is wanted now
  let early = null; // {search, found, at}: what was asked before there was a page, and when

  function ask(search) {
    wants += 1;
    const want = { n: wants, search, ...dinsight.browser.screen() };
    return dinsight.ask("live-open", "live-opened", want).then(dated);
  }

  /** It may wait for the page, and gets no younger by that. */
  function dated(found) {
    if (found && found.first) found.first.seenAt = window.performance.now();
    return found;
  }

  /** What the server opens for this address; null if that failed, or another was wanted since. */
  async function find(search) {
    turn += 1;
    const mine = turn;
    const young = early && window.performance.now() - early.at < EARLY_MS;
    const before = young && early.search === search ? early.found : null;
    early = null;
    let found = await before;
    if (!found && mine === turn) found = await ask(search);
    return mine === turn ? found : null;
  }

  /** Give the page what there is to choose from, and the map. */
  function offer({ view, baselines, streams, alone, notice, map, figure }) {
    const { give, put } = dinsight;
    const id = view.baseline_id;
    give("live-map", { figure });
    const unchosen = { label: "Choose …", value: "", disabled: true };
    dinsight.offer("live-baseline", id === null ? [unchosen, ...baselines] : baselines, id);
    dinsight.offer("live-stream", streams, view.stream);
    put("live-empty", { innerHTML: notice });
    put("live-stream-field", { hidden: alone });
    put("live-map-kind", { text: map });
  }

  /** Put the first points into a figure that is not drawn yet, and show it as chosen; which they are. */
  function compose(figure, view, first, choices) {
    if (!figure.data.length) return null;
    const ready = first && first.kind === "ready";
    const { map, frame } = dinsight;
    map.meaning(null, { axes: view.colours, limit: (ready && first.status.alarm_limit) || 1 });
    const none = { x: [], y: [], about: [] };
    const points = ready && first.n ? map.unpack(first, 0) : none;
    map.compose(figure, points, { cap: view.cap, earlier: view.earlier, ...choices });
    frame.compose(figure, document.getElementById("live-map"), points);
    return points;
  }

  /**
   * Call back once the plot shows this view, or will not any more: before the frame, since showing
   * what WebGL in software has drawn takes as long again.
   */
  function drawn(view, then) {
    const stage = document.getElementById("live-stage");
    if (!stage) {
      then();
      return;
    }
    const watched = new MutationObserver(look);
    const timer = window.setInterval(look, LOOK_MS); // what is drawn may change no element
    // Around the map: Dash puts the plot in the place of what stood for it.
    watched.observe(stage, { childList: true, subtree: true });
    function look() {
      const gone = dinsight.live.state().view !== view || !document.getElementById("live-map");
      if (!gone && !dinsight.map.ready(view.key)) return;
      watched.disconnect();
      window.clearInterval(timer);
      then();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const { pathname, search } = window.location;
    if (!dinsight.browser.isAt(pathname)) return;
    early = { search, found: ask(search), at: window.performance.now() };
  });

  dinsight.open = { find, offer, compose, drawn };
})();
