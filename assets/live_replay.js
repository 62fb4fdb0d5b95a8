/* The section Replay: what is played into the stream, and playing another file.

   It follows the page's stream (`dinsight:opened`, `dinsight:status`) and speaks with
   `/streaming/{id}/replay`: a file goes up as it is, with progress, not through a callback. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const SAMPLE = "sample";
  const UPLOAD = "upload";
  const LOOK_MS = 1500; // between looks while something is played
  const AWAY = "The server cannot be reached: nothing was changed.";
  const whole = new Intl.NumberFormat("en");

  let now = fresh(null);

  /** What is known of the replays of one opened view. */
  function fresh(view) {
    return {
      view,
      status: null, // the stream's
      replay: null, // the stream's last one, as the API tells it
      files: null, // kept ones
      sample: false, // whether the sample machine's file fits
      choice: null, // a file's id, SAMPLE or UPLOAD; null until the person chooses
      file: null, // chosen on this device
      sending: null, // the share of it that is sent
      error: "",
    };
  }

  const el = (id) => document.getElementById(id);
  const isPlaying = () => Boolean(now.replay && ["playing", "held"].includes(now.replay.status));

  /* ---- the server ---- */

  function path(rest = "") {
    const query = new URLSearchParams({ stream: now.view.stream });
    return `/api/v1/streaming/${now.view.baseline_id}/replay${rest}?${query}`;
  }

  /** Ask the server; gives its data. Throws an Error whose message is a sentence. */
  function ask(method, where, body, progress) {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      request.open(method, where);
      request.setRequestHeader("X-CSRF-TOKEN", dinsight.shell.csrf());
      if (typeof body === "string") request.setRequestHeader("Content-Type", "application/json");
      if (progress) request.upload.onprogress = (event) => progress(event.loaded / event.total);
      request.onload = () => {
        const answer = parsed(request.responseText);
        if (request.status < 300 && answer) done(answer.data);
        else failed(new Error(sentence(request.status, answer)));
      };
      request.onerror = () => failed(new Error(AWAY));
      request.send(body);
    });
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  function sentence(status, answer) {
    if (status === 401) return "Your sign-in has ended: load the page again.";
    if (answer && answer.message) return answer.message;
    return `The server answered with an error (${status}): nothing was changed.`;
  }

  /* ---- following ---- */

  function begin(view) {
    now = fresh(view);
    addInput();
    if (view.kind === "ready" && !view.playback) look(true);
    paint();
  }

  /** Read the replay, and with `all` the files; what cannot be read now is read at the next look. */
  async function look(all = false) {
    const { view } = now;
    try {
      const [replay, kept] = await Promise.all([
        ask("GET", path()),
        all || now.files === null ? ask("GET", path("/files")) : null,
      ]);
      if (view !== now.view) return;
      now.replay = replay;
      if (kept) Object.assign(now, kept);
      if (isPlaying() && all) el("replay-panel").open = true;
    } catch {
      return; // the badge says that the server is away
    }
    paint();
  }

  function follow(status) {
    if (!now.view || now.view.playback) return;
    const before = now.status;
    now.status = status;
    const same = before && before.epoch === status.epoch && before.status === status.status;
    if (!same) look();
    paint();
  }

  function tick() {
    if (now.view && now.view.kind === "ready" && !now.view.playback && isPlaying() && !document.hidden && el("replay-row")) {
      look();
    }
  }

  /* ---- acting ---- */

  function chosen() {
    if (now.choice !== null) return now.choice;
    if (now.files && now.files.length) return String(now.files[0].id);
    return now.sample ? SAMPLE : UPLOAD;
  }

  function fileOf(choice) {
    return (now.files || []).find((file) => String(file.id) === choice);
  }

  /** Play, at once or after the person has said that it may take another sender's place. */
  function wantPlay() {
    if (now.status && now.status.is_active && !isPlaying()) el("replay-dialog").showModal();
    else play();
  }

  async function play() {
    const { view } = now;
    const choice = chosen();
    now.error = "";
    now.sending = 0;
    paint();
    try {
      const replay = await ask("POST", path(), wish(choice), (share) => {
        now.sending = share;
        paint();
      });
      if (view !== now.view) return;
      now.replay = replay;
      if (choice === UPLOAD) takenIn();
    } catch (error) {
      if (view !== now.view) return;
      now.error = error.message;
    }
    now.sending = null;
    paint();
    look(true);
    document.getElementById("live-refresh").click();
  }

  /** The file is kept now: it is chosen by name from here on. */
  function takenIn() {
    now.choice = null;
    now.file = null;
    addInput();
  }

  function wish(choice) {
    const fields = {
      stream: now.view.stream,
      delay: el("replay-delay").value,
      batch_size: el("replay-batch").value,
    };
    if (choice !== UPLOAD) {
      const named = choice === SAMPLE ? { sample: true } : { stored: Number(choice) };
      const numbers = { delay: number(fields.delay), batch_size: number(fields.batch_size) };
      return JSON.stringify({ ...fields, ...numbers, ...named });
    }
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", now.file, now.file.name);
    return form;
  }

  /** An empty field is left out: the server has a default. */
  const number = (text) => (text.trim() === "" ? null : Number(text));

  async function stop() {
    await act(ask("DELETE", path()), (replay) => {
      now.replay = replay;
    });
    document.getElementById("live-refresh").click();
  }

  function wantForget() {
    const file = fileOf(chosen());
    if (!file) return;
    dinsight.put("replay-forget-text", {
      text: `${file.name} will be deleted from the server. Points that were played stay.`,
    });
    el("replay-forget-dialog").showModal();
  }

  async function forget() {
    await act(ask("DELETE", path(`/files/${chosen()}`)), () => {
      now.choice = null;
    });
    look(true);
  }

  async function act(asked, done) {
    const { view } = now;
    now.error = "";
    try {
      const data = await asked;
      if (view === now.view) done(data);
    } catch (error) {
      if (view === now.view) now.error = error.message;
    }
    paint();
  }

  /* ---- a file of this device ---- */

  /** The browser's own chooser; a new one has nothing chosen. */
  function addInput() {
    const place = el("replay-input");
    if (!place) return;
    const input = document.createElement("input");
    input.type = "file";
    input.accept = ".csv,text/csv";
    input.tabIndex = -1;
    input.setAttribute("aria-label", "Monitor file");
    input.addEventListener("change", () => take(input.files[0]));
    place.replaceChildren(input);
  }

  function take(file) {
    if (!file) return;
    Object.assign(now, { choice: UPLOAD, file, error: "" });
    el("replay-panel").open = true;
    paint();
  }

  /* ---- painting ---- */

  function paint() {
    if (!el("replay-panel")) return;
    const playing = isPlaying();
    dinsight.put("replay-playing", { hidden: !playing });
    dinsight.put("replay-setup", { hidden: playing });
    dinsight.put("replay-error", { text: now.error || failure() });
    if (playing) paintPlaying(now.replay);
    else paintSetup();
  }

  function failure() {
    return now.replay && now.replay.status === "failed" ? now.replay.message : "";
  }

  function paintPlaying(replay) {
    const row = `row ${whole.format(replay.position)} of ${whole.format(replay.rows)}`;
    dinsight.put("replay-source", { text: replay.source });
    dinsight.put("replay-row", { text: replay.status === "held" ? `Paused at ${row}` : row });
    dinsight.put("replay-bar", { style: { width: `${(100 * replay.position) / replay.rows}%` } });
  }

  function paintSetup() {
    const choice = chosen();
    const sending = now.sending !== null;
    const ready = Boolean(now.view && now.view.kind === "ready" && now.files);
    dinsight.put("replay-last", { text: lastWords(now.replay) });
    dinsight.offer("replay-file", options(), choice);
    dinsight.put("replay-file", { disabled: sending });
    dinsight.put("replay-drop", { hidden: choice !== UPLOAD });
    const size = now.file && `${now.file.name} · ${megabytes(now.file.size)}`;
    dinsight.put("replay-chosen", { text: size || "Drop a CSV file here" });
    dinsight.put("replay-choose", {
      text: now.file ? "Choose another …" : "Choose a file …",
      disabled: sending,
    });
    const playable = ready && !sending && (choice !== UPLOAD || now.file);
    dinsight.put("replay-play", { disabled: !playable, text: sending ? doing(choice) : "Play" });
    dinsight.put("replay-delete", { hidden: !fileOf(choice), disabled: sending });
    dinsight.put("replay-upload", { hidden: !(sending && choice === UPLOAD) });
    dinsight.put("replay-upload-bar", { style: { width: `${Math.round(100 * (now.sending || 0))}%` } });
    dinsight.put("replay-hint", { text: hint() });
  }

  function options() {
    const kept = (now.files || []).map((file) => ({
      label: `${file.name} · ${whole.format(file.rows)} rows`,
      value: String(file.id),
    }));
    const sample = now.sample ? [{ label: "The sample machine", value: SAMPLE }] : [];
    return [...kept, ...sample, { label: "A file of this device …", value: UPLOAD }];
  }

  function doing(choice) {
    if (choice !== UPLOAD) return "Starting …";
    return now.sending < 1 ? `Sending, ${Math.floor(100 * now.sending)} %` : "Checking …";
  }

  function hint() {
    const points = now.status ? now.status.streamed_points : 0;
    if (!points) return "";
    const many = points === 1 ? "The one point" : `The ${whole.format(points)} points`;
    return `${many} of this run will be archived, and a new run begins.`;
  }

  function lastWords(replay) {
    if (!replay || replay.status === "none" || replay.status === "failed") return "";
    const rows = `${whole.format(replay.position)} of ${whole.format(replay.rows)} rows`;
    if (replay.status === "done") return `Played ${replay.source}: ${rows}.`;
    return `${replay.source} ended after ${rows}. ${replay.message || ""}`.trim();
  }

  function megabytes(bytes) {
    const amount = bytes / 1e6;
    return amount < 1 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${amount.toFixed(1)} MB`;
  }

  /* ---- what a person does ---- */

  const CLICKS = {
    "replay-play": wantPlay,
    "replay-confirm": play,
    "replay-stop": stop,
    "replay-delete": wantForget,
    "replay-forget": forget,
    "replay-choose": () => el("replay-input").firstChild.click(),
  };

  function openPanel() {
    const panel = el("replay-panel");
    panel.open = true;
    panel.scrollIntoView({ block: "nearest" });
    el("replay-file").focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.disabled) return;
    if (button.id in CLICKS) CLICKS[button.id]();
    if ("replay" in button.dataset) openPanel();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "replay-file") return;
    Object.assign(now, { choice: event.target.value, error: "" });
    paint();
  });
  const overPanel = (event) => event.target.closest && event.target.closest("#replay-panel");
  document.addEventListener("dragover", (event) => {
    const panel = overPanel(event);
    for (const other of document.querySelectorAll(".replay-over")) {
      if (other !== panel) other.classList.remove("replay-over");
    }
    if (!panel || isPlaying()) return;
    event.preventDefault();
    panel.classList.add("replay-over");
  });
  document.addEventListener("drop", (event) => {
    const panel = overPanel(event);
    if (!panel || isPlaying()) return;
    event.preventDefault();
    panel.classList.remove("replay-over");
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("dinsight:opened", ({ detail }) => {
    if (!detail.view.display) begin(detail.view);
  });
  document.addEventListener("dinsight:status", (event) => follow(event.detail.status));
  window.setInterval(tick, LOOK_MS);
})();
