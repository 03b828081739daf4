"use strict";
const byId = (id) => document.getElementById(id);
const none = "–";

// ---- how things are written ----
const whole = (value) => value.toLocaleString("en");
const rate = (value) => (value === null || value === undefined ? none
  : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }));

function bytes(value) {
  if (value === null || value === undefined) return none;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value.toLocaleString("en", { maximumFractionDigits: unit && value < 10 ? 1 : 0 })} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return none;
  if (seconds < 1) return `${(seconds * 1000).toLocaleString("en", { maximumSignificantDigits: 3 })} ms`;
  if (seconds < 10) return `${seconds.toLocaleString("en", { maximumFractionDigits: 1 })} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${whole(Math.round(seconds / 86400))} days`;
}

const moment = (epoch) => (epoch ? new Date(epoch * 1000).toLocaleString() : none);

// ---- the server's clock, by which ages are told: the reader's may be wrong ----
let clockOffset = Date.now() / 1000 - performance.now() / 1000;
const setClock = (epoch) => { clockOffset = epoch - performance.now() / 1000; };
const serverNow = () => clockOffset + performance.now() / 1000;
const age = (epoch) => (epoch ? duration(Math.max(0, serverNow() - epoch)) : none);
const until = (epoch) => (epoch > serverNow() ? `in ${duration(epoch - serverNow())}` : "now");

// ---- elements ----
function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function link(text, href) {
  const element = make("a", text);
  element.href = href;
  return element;
}

function button(text, action, className) {
  const element = make("button", text, className);
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

function notice(text, bad) {
  const place = byId("notice");
  place.textContent = text;
  place.className = bad ? "bad" : "";
  place.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { place.hidden = true; }, 8000);
}

// ---- asking the server; addresses are relative, so that the page may be mounted anywhere ----
class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  let content = null;
  try { content = await answer.json(); } catch { /* What a proxy says may be no JSON. */ }
  if (!answer.ok) throw new Refused(answer.status, content?.detail ?? `status ${answer.status}`);
  return content;
}

const query = (given) => {
  const wanted = Object.entries(given).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return wanted.length ? `?${new URLSearchParams(wanted)}` : "";
};
// A name may hold anything; slashes stay, since the server takes the whole rest of a path for the name.
const inPath = (name) => name.split("/").map(encodeURIComponent).join("/");
const place = (page, given = {}) => `#/${page}${query(given)}`;
const jobPlace = (handle) => `#/job/${encodeURIComponent(handle)}`;

// ---- dark or light: the system's, until somebody chooses ----
function stored(storage, name, value) {
  // Storage may be forbidden; then a choice lasts as long as the page.
  try {
    if (value === null) window[storage].removeItem(name);
    else if (value !== undefined) window[storage].setItem(name, value);
    return window[storage].getItem(name);
  } catch { return null; }
}
const chosen = stored("localStorage", "theme");
if (chosen) document.documentElement.dataset.theme = chosen;
byId("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  stored("localStorage", "theme", document.documentElement.dataset.theme);
});
