/* A recording as the page holds it: its timeline, and its points in chunks, fetched ahead and kept
   as far as memory is bounded. Knows nothing of what is drawn. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const SIZE = 5000; // points of a chunk
  const MOST = 60; // chunks that are kept: 21 bytes a point
  const AGAIN_MS = 2000;

  /** Answers of the API; throws an Error with a sentence, `gone` where nothing will come of it. */
  async function get(path) {
    let answer;
    try {
      answer = await window.fetch(path, { credentials: "same-origin" });
    } catch {
      throw new Error("The server cannot be reached: trying again.");
    }
    if (answer.ok) return (await answer.json()).data;
    const said = await answer.json().then(({ message }) => message, () => null);
    const error = new Error(said || `The server answered with an error (${answer.status}).`);
    error.gone = answer.status < 500 && answer.status !== 429;
    if (answer.status === 401) leave();
    throw error;
  }

  function leave() {
    const here = window.location.pathname + window.location.search;
    window.location.assign(`/signin?next=${encodeURIComponent(here)}`);
  }

  function bytes(text) {
    return Uint8Array.from(window.atob(text), (character) => character.charCodeAt(0));
  }

  function unpacked({ first, n, x, y, score, level, at }) {
    const floats = (text) => new Float32Array(bytes(text).buffer);
    return {
      first, n, x: floats(x), y: floats(y), score: floats(score), level: bytes(level),
      at: new Float64Array(bytes(at).buffer),
    };
  }

  /** The recording that a view names; `heard` is told of every chunk, `failed` of what went wrong. */
  function open({ baseline_id: id, stream, playback: { epoch } }, heard, failed) {
    const chunks = new Map(); // number -> points, the one that was used longest ago first
    const asked = new Set();
    let line = null;
    let closed = false;

    const query = (more) => new URLSearchParams({ stream, epoch, ...more });
    const path = (name, more) => `/api/v1/streaming/${id}/${name}?${query(more)}`;
    const number = (seq) => Math.floor((seq - 1) / SIZE);

    /** Read the timeline, all of it; `told` hears of each part of a long one. */
    async function load(told) {
      for (;;) {
        const found = await get(path("timeline"));
        if (closed) return null;
        const { low, high, level } = found.trend;
        found.packed = { ...found.trend };
        Object.assign(found.trend, {
          low: Array.from(new Float32Array(bytes(low).buffer)),
          high: Array.from(new Float32Array(bytes(high).buffer)), level: Array.from(bytes(level)),
        });
        line = found;
        told(line);
        if (!line.more) return line;
      }
    }

    /** Retention may have taken its beginning: whether it is all here, its end tells. */
    const whole = (which) => {
      const found = chunks.get(which);
      return Boolean(found) && found.first + found.n > Math.min((which + 1) * SIZE, line.last_seq);
    };

    async function fetch_(which) {
      if (closed || asked.has(which) || whole(which)) return;
      asked.add(which);
      try {
        const found = unpacked(await get(path("playback", { first: which * SIZE + 1, count: SIZE })));
        if (closed) return;
        const next = (which + 1) * SIZE + 1;
        if (!found.n && next > line.last_seq) {
          throw Object.assign(new Error("These points are no longer kept."), { gone: true });
        }
        begins(which, found.n ? found.first : next);
        if (found.n) keep(which, found);
        asked.delete(which);
        heard();
        ahead();
      } catch (error) {
        if (closed) return;
        failed(error);
        if (!error.gone) window.setTimeout(() => { asked.delete(which); heard(); }, AGAIN_MS);
      }
    }

    /** Retention may take the beginning while the recording is open. */
    function begins(which, first) {
      if (first > which * SIZE + 1) line.first_seq = Math.max(line.first_seq, first);
    }

    function keep(which, found) {
      found.usual = dinsight.moments.usual(found.at);
      chunks.set(which, found);
      for (const old of chunks.keys()) {
        if (chunks.size <= MOST) break;
        chunks.delete(old);
      }
    }

    function used(which) {
      const found = chunks.get(which);
      if (!found) return null;
      chunks.delete(which);
      chunks.set(which, found);
      return found;
    }

    /** Fetch what these points are in, unless it is here; whether all of it is. */
    function want(from, to) {
      let here = true;
      for (let which = number(from); which <= number(to); which += 1) {
        const found = chunks.get(which);
        if (found && found.first + found.n > Math.min(to, (which + 1) * SIZE)) continue;
        here = false;
        fetch_(which);
      }
      return here;
    }

    let near = 1;

    /** One chunk more, the nearest to where somebody looks, while all of them find room. */
    function ahead(seq = near) {
      near = seq;
      if (!line || asked.size) return;
      const [low, high] = [number(line.first_seq), number(line.last_seq)];
      if (high - low >= MOST) return;
      for (let away = 0; away <= high - low; away += 1) {
        for (const which of [number(near) + away, number(near) - away]) {
          if (which >= low && which <= high && !whole(which)) return void fetch_(which);
        }
      }
    }

    /** One point; null where it is not here. */
    function point(seq) {
      const found = chunks.get(number(seq));
      const i = found ? seq - found.first : -1;
      if (i < 0 || i >= found.n) return null;
      const level = dinsight.moments.LEVELS[found.level[i]];
      const [x, y] = [found.x[i], found.y[i]];
      return { seq, at: found.at[i], score: found.score[i], level, x, y, exact: true };
    }

    /** Points as the map takes them; null where some of them are not here. */
    function points(from, to) {
      if (!want(from, to)) return null;
      const made = { x: [], y: [], about: [] };
      for (let which = number(from); which <= number(to); which += 1) {
        const found = used(which);
        const [start, stop] = [Math.max(from, found.first), Math.min(to, found.first + found.n - 1)];
        for (let seq = start; seq <= stop; seq += 1) {
          const i = seq - found.first;
          made.x.push(found.x[i]);
          made.y.push(found.y[i]);
          made.about.push([seq, found.score[i], dinsight.moments.LEVELS[found.level[i]], null]);
        }
      }
      return made;
    }

    /** The usual gap between points around here, in milliseconds. */
    const usual = (seq) => (chunks.get(number(seq)) || { usual: 0 }).usual;

    return {
      load, want, ahead, point, points, usual, line: () => line, close: () => { closed = true; },
      kept: () => chunks.size,
    };
  }

  dinsight.record = { open, get };
})();
