/* The alerts of the stream that is shown: the strip under the state, and marks on the trend.

   Asked for when the page opens and whenever the status says, pushed or polled, that something
   has happened to them. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {}); // its parts may load after this
  const LOST_MS = 12000;
  const PAGE = "/dashboard/alerts";
  const MARK = 24; // px, a finger's least

  let view = null;
  let known = null; // the answer that is painted
  let revision = null; // of the status that it was asked for
  let wanted = null; // the newest that is known of
  let asked = null;
  let trend = null; // where the trend was drawn last

  const place = (id) => document.getElementById(id);

  function ask() {
    if (!view || view.kind !== "ready" || !place("live-alerts")) return;
    if (asked !== null && Date.now() - asked < LOST_MS) return;
    asked = Date.now();
    revision = wanted;
    const { key, baseline_id: id, stream } = view;
    const data = { key, baseline_id: id, stream, after: null, limit: 1 };
    dinsight.ask("live-alerts-ask", "live-alerts-answer", data).then(answered);
  }

  function answered(answer) {
    asked = null;
    if (answer && view && answer.key === view.key) {
      known = answer;
      paint();
    }
    if (revision !== wanted) ask();
  }

  function make(tag, className, ...children) {
    const node = document.createElement(tag);
    node.className = className;
    node.append(...children);
    return node;
  }

  /* ---- the strip ---- */

  function paint() {
    const list = place("live-alerts");
    if (!list) return;
    const open = known ? known.open : [];
    const focused = document.activeElement && document.activeElement.dataset.strip;
    list.replaceChildren(...open.map(item), ...more(open));
    dinsight.put("live-alerts-place", { hidden: !open.length });
    if (focused) {
      const back = list.querySelector(`[data-strip="${focused}"]`) || list.querySelector("a");
      if (back) back.focus();
    }
    paintMarks();
  }

  function more(open) {
    if (!known || known.total <= open.length) return [];
    const link = make("a", "", `All ${dinsight.words.whole.format(known.total)} alerts`);
    link.href = `${PAGE}?baseline_id=${view.baseline_id}`;
    return [make("li", "live-alert", link)];
  }

  function item(alert) {
    const word = make("span", `severity severity-${alert.severity}`, alert.word);
    const title = make("strong", "", alert.title);
    const node = make("li", "live-alert", word, make("span", "live-alert-words", title, words(alert)));
    node.append(controls(alert));
    return node;
  }

  /** "since 14:02, not acknowledged, came 4 times, shelved until 22:00". */
  function words({ opened_at: began, cleared_at: ended, status, times, shelved_until: until }) {
    const { clock } = dinsight.alerts;
    const parts = [ended ? ` ${clock(began)} to ${clock(ended)}, over` : ` since ${clock(began)}`];
    parts.push(status === "active" ? "not acknowledged" : "acknowledged");
    if (times > 1) parts.push(`came ${times} times`);
    if (until) parts.push(`shelved until ${clock(until)}`);
    return parts.join(", ");
  }

  function controls(alert) {
    const box = make("span", "live-alert-acts");
    const name = make("span", "sr-only", `: ${alert.title}`);
    if (alert.status === "active") {
      const button = make("button", "button small", "Acknowledge", name.cloneNode(true));
      button.type = "button";
      button.dataset.strip = `acknowledge-${alert.id}`;
      button.addEventListener("click", () => {
        dinsight.alerts.act({ act: "acknowledge", ids: [alert.id] });
      });
      box.append(button);
    }
    const link = make("a", "button small", "Details", name);
    link.href = `${PAGE}?alert=${alert.id}`;
    link.dataset.strip = `details-${alert.id}`;
    box.append(link);
    return box;
  }

  /* ---- marks on the trend ---- */

  /** Where a point stands across the trend; null where it is not shown. */
  function across(seq) {
    const { frame, items } = trend;
    const at = dinsight.trendPlot.find(items, seq);
    if (at < 0 || at >= frame.xs.length) return null;
    return frame.xs[at];
  }

  function paintMarks() {
    const list = place("trend-alerts");
    if (!list) return;
    const shown = known && trend && trend.frame && trend.epoch === known.epoch ? known.run : [];
    const kept = new Map([...list.children].map((child) => [child.dataset.alert, child]));
    const next = [];
    for (const alert of shown) {
      const x = across(alert.opened_seq);
      if (x === null) continue;
      const node = kept.get(String(alert.id)) || mark(alert);
      dress(node, alert, x);
      next.push(node);
    }
    for (const node of list.children) if (!next.includes(node)) kept.set("", node);
    const same = next.length === list.children.length
      && next.every((node, i) => node === list.children[i]);
    if (!same) list.replaceChildren(...next);
  }

  function mark(alert) {
    const button = make("button", "");
    button.type = "button";
    button.addEventListener("click", () => {
      const detail = { epoch: alert.epoch, seq: alert.opened_seq };
      document.dispatchEvent(new CustomEvent("dinsight:select", { detail }));
    });
    const node = make("li", "trend-alert", button);
    node.dataset.alert = String(alert.id);
    return node;
  }

  function dress(node, alert, x) {
    const button = node.firstElementChild;
    const left = `${Math.round(x - MARK / 2)}px`;
    if (node.style.left !== left) node.style.left = left;
    const className = `trend-mark severity-${alert.severity} trend-mark-${alert.condition}`;
    if (button.className !== className) button.className = className;
    const text = `${alert.title}, ${alert.word.toLowerCase()},${words(alert)}`;
    if (button.getAttribute("aria-label") === text) return;
    button.setAttribute("aria-label", text);
    button.dataset.said = text;
  }

  /* ---- what happens ---- */

  function visit(event, link) {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    dinsight.shell.visit(link.getAttribute("href"));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#live-alerts a");
    if (link) visit(event, link);
  });
  document.addEventListener("dinsight:opened", ({ detail }) => {
    view = detail.view;
    known = trend = asked = revision = wanted = null;
    paint();
  });
  document.addEventListener("dinsight:status", ({ detail }) => {
    const { alerts, epoch } = detail.status;
    if (!alerts) return;
    wanted = `${epoch}/${alerts.revision}`;
    // While an answer is owed, `ask` waits for it, but not for one that was lost.
    if (asked === null && (wanted === revision || (known === null && !alerts.revision))) return;
    ask();
  });
  document.addEventListener("dinsight:trend", ({ detail }) => {
    trend = detail;
    if (known) paintMarks();
  });
  document.addEventListener("dinsight:alerts-acted", ask);

})();
