/* The live socket: what is new comes by itself, to the same reducer as every answer.

   It is opened once the page stands at a cursor, and only while somebody looks: a view that
   refreshes by itself, in a tab that is not hidden for long. While it is open the page's
   questions are only a watchdog; when it ends they take over at once, and since the cursor is the
   page's, nothing is missed or drawn twice. It is opened again after a question was answered, so
   that a server that is away is not knocked at twice. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const HIDDEN_MS = 120000; // how long a hidden tab keeps its socket
  const QUIET_MS = 30000; // without a word from a stream that rests, until the page asks
  const QUIET_TICKS = 3; // the same for a stream that moves, in intervals
  const BACK_OFF = [1, 2, 5, 10, 30]; // seconds until a socket that did not last is tried again
  const TRIES = 3; // of a socket that never opened: something between here and there forbids it

  const now = () => window.performance.now();

  let socket = null; // {wire, view, status, heardAt} of the one that there is
  let failures = 0; // in a row
  let everOpen = false;
  let mayAt = -Infinity;
  let hiddenAt = document.hidden ? now() : null;
  let telling = false; // whether the reducer is at work on a message

  /* ---- whether there should be one ---- */

  function review() {
    const live = dinsight.live.state();
    const wanted = isWanted(live);
    if (socket && (!wanted || socket.view !== live.view)) close();
    if (!socket && wanted && isReady(live)) open(live);
  }

  function isWanted({ view, choices, held }) {
    if (!view || view.kind !== "ready" || !view.push || !choices.auto) return false;
    if (held !== null) return false; // what is pushed meanwhile is not drawn, and would be missed
    if (hiddenAt !== null && now() - hiddenAt > HIDDEN_MS) return false;
    if (new URLSearchParams(window.location.search).get("push") === "0") return false;
    return Boolean(document.getElementById("live-map"));
  }

  /** A socket begins where the page stands, so the page must stand somewhere. */
  function isReady(live) {
    if (!live.cursor || live.waiting || live.asked !== null || live.retryAt !== null) return false;
    if (live.cursor.seq < live.status.last_seq) return false;
    return hiddenAt === null && now() >= mayAt && (everOpen || failures < TRIES);
  }

  /* ---- its life ---- */

  function open({ view, cursor, status }) {
    const query = new URLSearchParams({
      after: `${cursor.epoch}:${cursor.seq}`,
      stream: view.stream,
    });
    const base = window.location.origin.replace(/^http/, "ws");
    const path = `/api/v1/streaming/${view.baseline_id}/live?${query}`;
    const mine = { wire: new WebSocket(base + path), view, status, heardAt: null };
    socket = mine;
    mine.wire.addEventListener("message", (event) => socket === mine && take(event.data));
    mine.wire.addEventListener("close", () => socket === mine && lost());
  }

  function close() {
    const { wire } = socket;
    socket = null;
    // A browser complains of a socket that is closed before it is open.
    if (wire.readyState === WebSocket.CONNECTING) wire.addEventListener("open", () => wire.close());
    else wire.close();
  }

  /** It ended, or never began: the page asks at once, and later tries again. */
  function lost() {
    const heard = socket.heardAt !== null;
    socket = null;
    later(heard ? 0 : failures + 1);
    if (heard) dinsight.live.ask();
  }

  function later(count) {
    failures = count;
    mayAt = now() + 1000 * BACK_OFF[Math.min(failures, BACK_OFF.length - 1)];
  }

  /** A question brought points that a socket should have brought long ago: it is deaf. */
  function asked(points) {
    if (!isOpen() || telling || !points.x.length) return;
    if (now() - socket.heardAt < quietMs()) return;
    close();
    later(failures + 1);
  }

  function take(text) {
    const live = dinsight.live.state();
    if (live.view !== socket.view || live.waiting || !live.cursor) return close();
    const message = JSON.parse(text);
    socket.status = told(socket.status, message);
    socket.heardAt = now();
    everOpen = true;
    failures = 0;
    telling = true;
    dinsight.live.reduce(answer(message, socket));
    telling = false;
  }

  /** The status after a message: as it was, what the points tell, what the message says. */
  function told(status, message) {
    const { seq: first, ...points } = message;
    const seq = first + message.n - 1;
    const known = { ...status, epoch: message.epoch, streamed_points: seq, last_seq: seq };
    if (message.n) {
      const last = dinsight.map.unpack({ ...points, first }, message.n - 1);
      [[, known.score, known.level]] = last.about;
    }
    return { ...known, ...message.status, tag: "" }; // which is of what a poll has told
  }

  /** The message as the answer to a question that nobody had to ask. */
  function answer({ seq, control, ...message }, { view, status }) {
    const points = { x: "", y: "", score: "", level: "", ...message };
    return { ...points, key: view.key, kind: "ready", pushed: true, first: seq, status };
  }

  /* ---- what the rest of the page asks of it ---- */

  /** Whether points are pushed. */
  function isOpen() {
    return Boolean(socket && socket.heardAt !== null);
  }

  /** Whether it has been heard of lately, so that there is nothing to ask. */
  function hears() {
    return isOpen() && now() - dinsight.live.state().seenAt < quietMs();
  }

  function quietMs() {
    const ticks = QUIET_TICKS * 1000 * dinsight.live.choices.interval;
    return socket.status.is_active ? ticks : QUIET_MS;
  }

  document.addEventListener("visibilitychange", () => {
    hiddenAt = document.hidden ? now() : null;
    review();
  });
  document.addEventListener("dinsight:points", (event) => {
    asked(event.detail.points);
    review();
  });
  window.setInterval(review, 1000);

  dinsight.socket = { review, open: isOpen, hears };
})();
