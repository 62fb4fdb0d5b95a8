/* What every page has: the account menu, copy buttons, dialogs, signing out. */
(function () {
  "use strict";

  function cookie(name) {
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  }

  /** What a request that changes something says with the cookie, which no other site can read. */
  const csrf = () => cookie("csrf_access_token");

  /** Sign out, then show the sign-in page; an ended sign-in ends up there as well. */
  async function signOut() {
    await window
      .fetch("/api/v1/auth/logout", {
        method: "POST",
        credentials: "same-origin",
        headers: { "X-CSRF-TOKEN": csrf() },
      })
      .then(
        (answer) => {
          if (answer.ok || answer.status === 401) window.location.assign("/signin");
          else say("Signing out failed: try again.");
        },
        () => say("The server cannot be reached: you are still signed in."),
      );
  }

  /** Copy text, also where the page has no secure origin and so no clipboard. */
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr-only";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  async function copyFrom(button) {
    await copy(button.dataset.copy);
    button.classList.add("copied");
    say("Copied.");
    window.setTimeout(() => button.classList.remove("copied"), 1600);
  }

  let fading = 0;

  /** Say something once, at the foot of the page, to eyes and to screen readers. */
  function say(sentence) {
    const place = document.getElementById("toast");
    if (!place) return;
    place.textContent = sentence;
    place.classList.add("shown");
    window.clearTimeout(fading);
    fading = window.setTimeout(() => place.classList.remove("shown"), 6000);
  }

  /** Keep a choice on this device; where storage is blocked it lasts as long as the page. */
  function remember(key, text) {
    try {
      window.localStorage.setItem(key, text);
    } catch {
      kept.set(key, text);
    }
  }

  function recall(key) {
    try {
      return window.localStorage.getItem(key);
    } catch {
      return kept.has(key) ? kept.get(key) : null;
    }
  }

  const kept = new Map();

  const NAMES = {
    "/account": "Account",
    "/admin": "Administration",
    "/dashboard/machines": "Machines",
    "/dashboard/streaming": "Streaming",
    "/dashboard/baselines": "Baselines",
    "/dashboard/versions": "Baseline versions",
    "/dashboard/alerts": "Alerts",
  };
  const bare = (path) => path.replace(/\/$/, "");

  /** Another page was opened: its title, and its link in the header. */
  function title(path) {
    entitle(path, [NAMES[bare(path)] || "No such page"]);
    for (const link of document.querySelectorAll(".nav-link")) {
      if (link.pathname === bare(path)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** Say something in the title of the page at this path; not of another, which came since. */
  function entitle(path, parts) {
    if (bare(path) !== bare(window.location.pathname)) return;
    document.title = [...parts.filter(Boolean), "D'insight"].join(" · ");
  }

  /** Go to another page of ours without loading anything anew, as the header's links do. */
  function visit(href) {
    window.history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }

  function closeMenus(target) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(target) || target.closest("a, button")) menu.open = false;
    }
  }

  document.addEventListener("click", function (event) {
    const target = event.target;
    closeMenus(target);
    const copier = target.closest("[data-copy]");
    if (copier) copyFrom(copier);
    if (target.closest("[data-sign-out]")) signOut();
    const opener = target.closest("[data-opens]");
    if (opener && !opener.disabled) document.getElementById(opener.dataset.opens).showModal();
    if (target.closest("[data-closes]")) target.closest("dialog").close();
    const link = target.closest("a[data-visits]");
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (!link || elsewhere) return;
    event.preventDefault();
    visit(link.href);
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") closeMenus(document.body);
  });

  // A form whose button is a callback: it exists for password managers and is never sent.
  document.addEventListener("submit", function (event) {
    if (event.target.matches("[data-stays]")) event.preventDefault();
  });

  window.dinsight = window.dinsight || {};
  window.dinsight.shell = { say, csrf, remember, recall, bare, entitle, visit };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.shell = { title };
})();
