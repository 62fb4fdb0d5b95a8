/* How the stream is shown: the choices of the View settings, their controls and their words in the
   address. What they do is live.js's and live_map.js's. */
(function () {
  "use strict";

  const dinsight = (window.dinsight = window.dinsight || {});
  const { address } = dinsight;
  const COLOURS = ["plain", "order", "score", "level", "normal"];

  const number = (low, high) => (text) => {
    const value = Number(text);
    return text.trim() !== "" && value >= low && value <= high ? value : undefined;
  };
  const whole = (low, high) => (text) => {
    const value = number(low, high)(text);
    return Number.isInteger(value) ? value : undefined;
  };
  const yes = {
    read: (text) => ({ 1: true, 0: false })[text],
    write: (value) => (value ? "1" : "0"),
  };
  const list = {
    read: (text) => {
      try {
        const value = JSON.parse(text);
        return Array.isArray(value) ? value.map(String) : undefined;
      } catch {
        return undefined;
      }
    },
    write: JSON.stringify,
  };

  address.declare("contours", { usual: true, ...yes });
  address.declare("size", { usual: 6, read: whole(2, 12) });
  address.declare("glow", { read: whole(0, 1000) }); // null: what the sender declares
  address.declare("colour", { usual: "plain", read: (text) => COLOURS.find((name) => name === text) });
  address.declare("follow", { usual: false, ...yes });
  address.declare("columns", { ...list }); // null: the first few
  // How often this device asks is no part of what is seen.
  address.declare("auto", { usual: true, shared: false, ...yes });
  address.declare("interval", { usual: 2, shared: false, read: number(0.5, 10) });

  const NAMES = ["contours", "size", "glow", "colour", "follow", "columns", "auto", "interval"];

  /** All choices, by name. */
  function all() {
    return Object.fromEntries(NAMES.map((name) => [name, address.get(name)]));
  }

  /** Take what the address and this device say, and let the controls show it. */
  function renew() {
    address.renew();
    const { columns: _, ...values } = all();
    for (const [name, value] of Object.entries(values)) {
      if (value !== null) show(name, value);
    }
    return all();
  }

  /** The slider is Dash's, whose script may still load when its page is there. */
  function show(name, value) {
    const control = document.getElementById(`live-${name}`);
    if (name === "size") {
      if (document.getElementById("live-stage")) window.dash_clientside.set_props("live-size", { value });
    } else if (control) {
      dinsight.put(control.id, control.type === "checkbox" ? { checked: value } : { value });
    }
  }

  /** A control says something: keep it if it makes sense. */
  function choose(name, value) {
    const good = {
      contours: Boolean,
      follow: Boolean,
      auto: Boolean,
      size: (given) => Number(given) || 6,
      colour: (given) => (COLOURS.includes(given) ? given : "plain"),
      columns: (given) => given || [],
      interval: (given) => Math.min(10, Math.max(0.5, Number(given) || 2)),
      glow: (given) => Math.min(1000, Math.max(0, Math.round(Number(given) || 0))),
    };
    if (value === null || value === undefined || value === "") return;
    address.set(name, good[name](value));
  }

  dinsight.choices = { all, renew, show, choose };
})();
