/* Failing calmly. Every callback goes out through `fetch`; one that fails comes back as an answer:

   - a poll that fails is answered with `{failed: status}`, on the one path that every answer
     takes, so that the reducer alone decides what to show and when to try again;
   - anything else that fails says so in a sentence and changes nothing;
   - an ended sign-in leads to the sign-in page and back.

   `send` sends JSON as the user who is signed in. `ask` puts a question to a callback as Dash would,
   and gives what it would fill a Store with: through Stores each answer is some thirty rounds
   through every component of the page. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this

  const CALLBACK = "_dash-update-component";
  const FEEDS = ["live-feed", "machines-feed", "compare-feed", "alerts-present"]; // filled by polls
  const OPEN = "live-opened.data";
  const TIMEOUT_MS = 10000;
  const OPEN_MS = 30000; // an opening brings a whole map
  const original = window.fetch;
  let leaving = false;

  window.fetch = function (resource, options) {
    const url = typeof resource === "string" ? resource : resource.url;
    if (!url.includes(CALLBACK)) return original.call(window, resource, options);
    const body = String((options && options.body) || "");
    const poll = FEEDS.find((feed) => body.includes(`"output":"${feed}.data"`));
    const limit = poll ? TIMEOUT_MS : body.includes(OPEN) ? OPEN_MS : null;
    return original
      .call(window, resource, { ...options, signal: limit && AbortSignal.timeout(limit) })
      .then((answer) => (limit && answer.ok ? whole(answer) : answer))
      .then(
        (answer) => (answer.ok ? answer : refused(answer.status, poll, body)),
        () => refused(0, poll, body),
      );
  };

  /** Send `body`, if there is one, as JSON; every request that may change something needs the CSRF. */
  function send(method, url, body) {
    const headers = { "Content-Type": "application/json", "X-CSRF-TOKEN": dinsight.shell.csrf() };
    const more = body ? { body: JSON.stringify(body) } : {};
    return window.fetch(url, { method, headers, credentials: "same-origin", ...more });
  }

  /** The answer of the callback from the Store `from` to the Store `to`; null if it gave none. */
  async function ask(from, to, value) {
    const changed = [`${from}.data`];
    const body = {
      output: `${to}.data`,
      outputs: { id: to, property: "data" },
      inputs: [{ id: from, property: "data", value }],
      changedPropIds: changed,
      parsedChangedPropsIds: changed,
    };
    const answer = await send("POST", `/${CALLBACK}`, body);
    return answer.status === 204 ? null : (await answer.json()).response[to].data;
  }

  /** An answer once its body is here: one that breaks off in the middle has failed as well. */
  async function whole(answer) {
    const { status, headers } = answer;
    return new Response(await answer.arrayBuffer(), { status, headers });
  }

  /** What the caller gets in place of a failed answer; status 0 is no answer at all. */
  function refused(status, poll, body) {
    if (status === 401) leave();
    if (poll) return answerOf({ [poll]: { data: { failed: status } } });
    if (body.includes(OPEN)) document.dispatchEvent(new CustomEvent("dinsight:unopened"));
    else if (!leaving) dinsight.shell.say(sentence(status));
    return new Response(null, { status: 204 });
  }

  function answerOf(response) {
    return new Response(JSON.stringify({ multi: true, response }), {
      status: 200,
      headers: { "Content-Type": "application/json" },
    });
  }

  function sentence(status) {
    if (status === 0) return "The server cannot be reached: nothing was changed.";
    if (status === 503) return "The database cannot be reached: nothing was changed. Try again.";
    return `The server answered with an error (${status}): nothing was changed.`;
  }

  function leave() {
    if (leaving) return;
    leaving = true;
    const here = window.location.pathname + window.location.search;
    window.location.assign(`/signin?next=${encodeURIComponent(here)}`);
  }

  Object.assign(dinsight, { send, ask });
})();
