// ---- which view is shown: the part of the address behind # ----
const VIEWS = [["", "Overview", overview], ["running", "Running", jobsView("running")], ["queued", "Queued", jobsView("queued")],
  ["scheduled", "Scheduled", jobsView("scheduled")], ["failed", "Failed", failed], ["workers", "Workers", workers], ["server", "Server", server]];
const tabs = new Map(VIEWS.map(([name, title]) => {
  const element = link(title, `#/${name}`), count = make("span", "", "count");
  element.append(" ", count);
  byId("nav").append(element);
  return [name, { element, count }];
}));
let view = null;

function refresh() { if (view && live.server) view.tick(); }

function show() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const given = Object.fromEntries(new URLSearchParams(search ?? ""));
  view?.leave?.();
  const found = VIEWS.find(([each]) => each === name) ?? VIEWS[0];
  view = name === "job" ? job(given, decodeURIComponent(rest.join("/"))) : found[2](given);
  for (const [each, { element }] of tabs) {
    if (each === found[0] && name !== "job") element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  document.title = name === "job" ? "Job · Gearman job server" : `${found[1]} · Gearman job server`;
  byId("main").replaceChildren(...view.content);
  refresh();
}
addEventListener("hashchange", () => { show(); scrollTo(0, 0); });

// ---- events, while the page is looked at ----
const ended = (c) => c.completed + c.failed + c.raised + (c.expired ?? 0) + (c.lost ?? 0) + c.cancelled + c.abandoned;
const failures = (c) => c.failed + c.raised + (c.expired ?? 0) + (c.lost ?? 0);
let source = null;

function take(event) {
  const news = JSON.parse(event.data), { functions, workers: able } = live;
  setClock(news.time);
  if (event.type === "whole") { functions.clear(); able.clear(); }
  for (const row of news.functions) {
    functions.set(row.function, { ...row, note: remark(row), p50: row.run_seconds?.p50, p95: row.run_seconds?.p95,
      oldest: row.waiting_since ? -row.waiting_since : null });
  }
  for (const key of news.functions_gone) { functions.delete(key); live.sparks.delete(key); }
  // From the last hour on, one value in twenty seconds, as the server keeps them.
  if (!live.sparkedAt || news.time - live.sparkedAt >= 20) {
    live.sparkedAt = news.time;
    for (const [key, row] of functions) {
      const before = live.sparks.get(key);
      if (before || row.queued) live.sparks.set(key, [...(before ?? [0]), row.queued].slice(-180));
    }
  }
  for (const row of news.workers) able.set(row.connection, { ...row, list: row.abilities.join(", "), asleep: Number(row.sleeping) });
  for (const key of news.workers_gone) able.delete(key);
  live.server = news.server;
  live.left = { functions: news.functions_left_off, workers: news.workers_left_off };
  const { server: now } = news, before = live.samples.at(-1);
  // The first event comes soon after the last sample, and rates over a moment would jump.
  if (!before || news.time - before.time >= 0.5) {
    live.samples = [...live.samples, { time: news.time, queued: now.queued, running: now.running, workers: now.workers,
      connections: now.connections, submitted: now.counters.submitted, ended: ended(now.counters), failed: failures(now.counters),
      lag: now.lag_seconds ?? before?.lag ?? 0 }].slice(-SAMPLES);
  }
  setText(byId("about"), `${now.addresses.join(", ")} · gearman_trio ${now.version}`);
  setText(byId("state"), now.accepting ? "live" : "draining");
  byId("state").dataset.live = now.accepting ? "yes" : "no";
  for (const [name, count] of [["running", now.running], ["queued", now.queued], ["scheduled", now.scheduled],
    ["failed", failures(now.counters)], ["workers", now.workers]]) setText(tabs.get(name).count, count ? whole(count) : "");
  refresh();
}

async function lookBack() {
  try {
    const history = await ask("api/v1/history");
    const names = Object.keys(history).filter((name) => Array.isArray(history[name]));
    live.samples = history.time.map((_, i) => Object.fromEntries(names.map((name) => [name, history[name][i]])));
    live.sparks = new Map(Object.entries(history.functions_queued ?? {}));
  } catch { /* Charts begin now; the events say whether the server can be reached. */ }
}

async function look() {
  await Promise.all([lookBack(), lookUpAccess()]);
  if (source || document.hidden) return;
  source = new EventSource("api/v1/events");
  source.addEventListener("whole", take);
  source.addEventListener("changes", take);
  source.addEventListener("error", () => {
    setText(byId("state"), "connection lost, trying again");
    byId("state").dataset.live = "no";
    // After an answer that is no stream, as when too many are open, browsers do not try again.
    if (source.readyState === EventSource.CLOSED) { source = null; setTimeout(look, 5000); }
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { source?.close(); source = null; } else look();
});
show();
look();
