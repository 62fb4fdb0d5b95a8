/* Uploading baselines: the chosen files, the requests under way, and what became of each.

   An upload lives as long as the tab, also while another page is shown; the fit that follows lives
   on the server. One that fails stays, with its files, until it is tried again or removed. */
(function () {
  "use strict";

  const URL_ = "/api/v1/analyze";
  const MIB = 1024 * 1024;
  const MOST_FILES = 90; // of a form, which has 100 parts at most
  const PART_BYTES = 1024; // at most, of a part's own header
  const UNDER_WAY = new Set(["reading", "sending", "storing"]);
  const whole = new Intl.NumberFormat("en-US");

  let chosen = []; // the files of the next upload
  let dragged = 0; // elements under a dragged file
  let number = 0;
  const uploads = []; // {key, name, files, kind, phase, sent, total, error, todo, request, id}
  const drawn = new Map(); // upload -> its element and the parts of it

  const place = (id) => document.getElementById(id);

  function size(bytes) {
    if (bytes < MIB) return `${whole.format(Math.ceil(bytes / 1024))} KiB`;
    return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
  }

  const sum = (files) => files.reduce((bytes, file) => bytes + file.size, 0);

  /* ---- choosing ---- */

  const chooser = makeChooser();

  /** The browser's own chooser, which the drop zone opens; Dash has no field for files. */
  function makeChooser() {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", id: "baselines-files", multiple: true });
    Object.assign(input, { accept: ".csv,text/csv", className: "sr-only", tabIndex: -1 });
    input.setAttribute("aria-hidden", "true");
    input.addEventListener("change", function () {
      if (input.files.length) choose([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
    return input;
  }

  function choose(files) {
    chosen = files;
    say(fault(files));
    paintChosen();
  }

  /** Why these files cannot be sent, with what to do; empty if they can. */
  function fault(files) {
    const most = Number(place("baselines-new").dataset.mostBytes);
    const empty = files.find((file) => file.size === 0);
    if (!files.length) return "Choose a CSV file first.";
    if (empty) return `${empty.name} is empty: choose a file with a header and rows.`;
    if (files.length > MOST_FILES) return `Choose ${MOST_FILES} files at most: join some of them.`;
    if (sum(files) + PART_BYTES * (files.length + 2) > most) {
      return (
        `${files.length > 1 ? "These files have" : files[0].name + " has"} ${size(sum(files))}, ` +
        `more than the ${size(most)} that this server takes. Leave out rows, or have its ` +
        "administrator raise DINSIGHT_MAX_UPLOAD_MB."
      );
    }
    return "";
  }

  function say(problem) {
    const line = place("baselines-problem");
    if (line) line.textContent = problem;
  }

  function paintChosen() {
    const box = place("baselines-chosen");
    if (!box) return;
    box.replaceChildren();
    if (!chosen.length) return;
    const list = document.createElement("ul");
    for (const file of chosen) {
      const item = document.createElement("li");
      item.append(element("span", file.name), element("span", size(file.size), "hint"));
      list.append(item);
    }
    const clear = control("Clear", () => {
      choose([]);
      say("");
      place("baselines-drop").focus();
    });
    box.append(list, clear);
  }

  /* ---- sending ---- */

  /** The button or Enter: send what is chosen; the form is then free for the next. */
  function send(_, __, name, kind) {
    const problem = fault(chosen);
    say(problem);
    if (problem) return window.dash_clientside.no_update;
    const files = chosen;
    const label = (name || "").trim() || files[0].name.replace(/\.csv$/i, "");
    const upload = { key: (number += 1), name: label, files, kind };
    uploads.push(upload);
    chosen = [];
    paintChosen();
    start(upload);
    return "";
  }

  async function start(upload) {
    Object.assign(upload, { phase: "reading", sent: 0, total: sum(upload.files), error: "" });
    paint();
    const gone = await unreadable(upload.files);
    if (upload.phase !== "reading") return; // cancelled meanwhile
    if (gone) {
      fail(upload, `${gone.name} was changed, moved or removed since it was chosen.`);
      upload.todo = "Remove this and choose the file again.";
      return paint();
    }
    const form = new FormData();
    form.append("name", upload.name);
    form.append("map", upload.kind);
    for (const file of upload.files) form.append("files", file, file.name);
    const request = (upload.request = new XMLHttpRequest());
    request.open("POST", URL_);
    request.setRequestHeader("X-CSRF-TOKEN", window.dinsight.shell.csrf());
    request.upload.onprogress = function (event) {
      Object.assign(upload, { sent: event.loaded, total: event.total });
      paint();
    };
    request.upload.onload = () => turn(upload, "storing");
    request.onload = () => answered(upload, request);
    request.onerror = () => fail(upload, "The connection was lost before the upload was answered.");
    turn(upload, "sending");
    request.send(form);
  }

  /** The first file that the browser may no longer read: one that was saved anew, for instance. */
  async function unreadable(files) {
    for (const file of files) {
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch {
        return file;
      }
    }
    return null;
  }

  function turn(upload, phase) {
    if (UNDER_WAY.has(upload.phase)) upload.phase = phase;
    paint();
  }

  function answered(upload, request) {
    if (request.status !== 200) return fail(upload, reason(request.status, request.responseText));
    upload.id = JSON.parse(request.responseText).data.id;
    turn(upload, "fitting");
    window.dinsight.baselines.ask();
  }

  /** The server's sentence, or one for an answer that has none. */
  function reason(status, text) {
    if (status === 401) return "Your sign-in has ended. Sign in in another tab, then try again.";
    try {
      return JSON.parse(text).message;
    } catch {
      return `The server answered with an error (${status}).`;
    }
  }

  function fail(upload, error) {
    const todo = "Correct the file and choose it again.";
    Object.assign(upload, { phase: "failed", error, todo });
    if (error.startsWith("The connection") || error.startsWith("Your sign-in")) {
      upload.todo = "Nothing is lost: the file is still chosen.";
    }
    paint();
  }

  function remove(upload) {
    if (upload.request) upload.request.abort();
    upload.phase = "removed";
    uploads.splice(uploads.indexOf(upload), 1);
    paint();
    const drop = place("baselines-drop");
    if (drop) drop.focus();
  }

  /** What the server says of the fits: one that is done goes, one that failed comes back. */
  function follow({ states, errors }) {
    for (const upload of uploads.filter(({ phase }) => phase === "fitting")) {
      const state = states[upload.id];
      if (state === "failed") fail(upload, errors[upload.id]);
      else if (state === "completed") window.dinsight.shell.say(`${upload.name} is ready.`);
      if (state === "completed") uploads.splice(uploads.indexOf(upload), 1);
    }
    paintChosen();
    paint();
  }

  /* ---- painting ---- */

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function control(text, press, about) {
    const made = element("button", text, "button small");
    made.type = "button";
    if (about) made.append(element("span", ` ${about}`, "sr-only"));
    made.addEventListener("click", press);
    return made;
  }

  function paint() {
    const box = place("baselines-uploads");
    if (!box) return;
    if (chooser.parentNode !== box) box.append(chooser);
    const visible = uploads.filter(({ phase }) => phase !== "fitting"); // the list shows a fit
    for (const [upload, { root }] of drawn) {
      if (!visible.includes(upload)) root.remove();
      if (!uploads.includes(upload)) drawn.delete(upload);
    }
    for (const upload of visible) {
      if (!drawn.has(upload)) drawn.set(upload, draw(upload));
      const parts = drawn.get(upload);
      if (parts.root.parentNode !== box) box.append(parts.root);
      refresh(upload, parts);
    }
  }

  function draw(upload) {
    const root = element("div", "", "baselines-upload");
    const bar = element("div", "", "bar");
    bar.append(element("div", "", "bar-fill"));
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-label", `The upload of ${upload.name}`);
    const line = element("p", "", "hint");
    const error = element("p", "", "message error");
    error.setAttribute("role", "alert");
    const todo = element("p");
    const acts = element("div", "", "baselines-acts");
    const cancel = control("Cancel", () => remove(upload), `the upload of ${upload.name}`);
    const again = control("Try again", () => start(upload), upload.name);
    const drop = control("Remove", () => remove(upload), upload.name);
    acts.append(cancel, again, drop);
    root.append(element("h3", upload.name), bar, line, error, todo, acts);
    return { root, bar, line, error, todo, cancel, again, drop };
  }

  function refresh(upload, { bar, line, error, todo, cancel, again, drop }) {
    const failed = upload.phase === "failed";
    const percent = Math.min(100, Math.floor((100 * upload.sent) / Math.max(1, upload.total)));
    bar.hidden = failed;
    bar.firstChild.style.width = `${percent}%`;
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    bar.setAttribute("aria-valuenow", String(percent));
    const text = words(upload, percent);
    bar.setAttribute("aria-valuetext", text);
    if (line.textContent !== text) line.textContent = text;
    if (error.textContent !== (failed ? upload.error : "")) {
      error.textContent = failed ? upload.error : "";
    }
    todo.textContent = failed ? upload.todo : "";
    cancel.hidden = failed || upload.phase === "storing";
    again.hidden = drop.hidden = !failed;
  }

  function words(upload, percent) {
    if (upload.phase === "failed") return upload.files.map(({ name }) => name).join(", ");
    if (upload.phase === "reading") return `Reading ${upload.files[0].name}`;
    if (upload.phase === "storing") return "Sent: the server checks the header and stores the rows";
    return `${percent} % · ${size(upload.sent)} of ${size(upload.total)}`;
  }

  /* ---- the drop zone ---- */

  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");

  function highlight() {
    const zone = place("baselines-drop");
    if (zone) zone.classList.toggle("over", dragged > 0);
  }

  function drag(change) {
    return function (event) {
      if (!place("baselines-drop") || !carriesFiles(event)) return;
      event.preventDefault(); // the browser would open the file in place of the page
      dragged = Math.max(0, dragged + change);
      highlight();
    };
  }

  document.addEventListener("dragenter", drag(1));
  document.addEventListener("dragover", drag(0));
  document.addEventListener("dragleave", drag(-1));
  document.addEventListener("drop", function (event) {
    drag(-Infinity)(event);
    if (!place("baselines-drop") || !event.dataTransfer.files.length) return;
    choose([...event.dataTransfer.files]);
    place("baselines-upload").focus();
  });
  document.addEventListener("click", function (event) {
    if (event.target.closest("#baselines-drop")) chooser.click();
  });
  window.addEventListener("beforeunload", function (event) {
    if (uploads.some(({ phase }) => UNDER_WAY.has(phase))) event.preventDefault();
  });

  window.dinsight = window.dinsight || {};
  window.dinsight.uploads = { send, follow, reason };
})();
