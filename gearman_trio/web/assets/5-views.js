// ---- what the events have told, for every view ----
const live = { functions: new Map(), workers: new Map(), samples: [], sparks: new Map(), server: null, left: { functions: 0, workers: 0 } };

const pace = () => {
  const last = live.samples.at(-1), before = live.samples.at(-2);
  const seconds = last && before ? last.time - before.time : 0;
  const per = (key) => (seconds > 0 ? Math.max(0, last[key] - before[key]) / seconds : null);
  return { in: per("submitted"), out: per("ended") };
};

function tiles(wanted) {
  const element = make("dl", undefined, "tiles"), values = {};
  for (const [key, name] of wanted) {
    const box = make("div");
    values[key] = make("dd", none);
    values[key].dataset.tile = key;
    box.append(make("dt", name), values[key]);
    element.append(box);
  }
  return { element, values };
}

function heading(title, noteId) {
  const element = make("h2", `${title} `), note = make("span", "", "faint");
  note.id = noteId;
  element.append(note);
  return { element, note };
}

function filterBar(head, tables) {
  const bar = make("div", undefined, "bar"), label = make("label", "Filter "), input = make("input");
  input.type = "search";
  input.id = "filter";
  input.autocomplete = "off";
  input.addEventListener("input", () => {
    for (const table of tables) { table.filter = input.value.toLowerCase(); table.draw(table.rows); }
  });
  label.append(input);
  bar.append(head, label);
  return bar;
}

const leftOff = (count) => (count ? ` · ${whole(count)} less busy ones not shown` : "");
const remark = (row) => [row.stalled ? "no worker" : "", row.paused ? "paused" : "",
  row.max_queue?.some(Boolean) ? `limited to ${row.max_queue.join(", ")}` : ""].filter(Boolean).join(" · ");

const unbroken = (text) => text.replace(" ", "\u00a0");

const functionColumns = () => [
  { key: "function", name: "Function", words: true, fill: (cell, row) => fillLink(cell, row.function, place("queued", { function: row.function })) },
  { key: "high", name: "High", show: (row) => whole(row.high) }, { key: "normal", name: "Normal", show: (row) => whole(row.normal) },
  { key: "low", name: "Low", show: (row) => whole(row.low) }, { key: "scheduled", name: "Scheduled", show: (row) => whole(row.scheduled) },
  { key: "running", name: "Running", show: (row) => whole(row.running) },
  { key: "workers", name: "Workers", show: (row) => whole(row.workers) }, { key: "sleeping", name: "Asleep", show: (row) => whole(row.sleeping) },
  { key: "note", name: "Note", words: true },
  { key: "oldest", name: "Oldest waits", show: (row) => age(row.waiting_since) },
  { key: "in_per_second", name: "In/s", show: (row) => rate(row.in_per_second) },
  { key: "out_per_second", name: "Out/s", show: (row) => rate(row.out_per_second) },
  { key: "p95", name: "Runs (p50, p95)", class: "pair", show: (row) => (row.p50 === null || row.p50 === undefined ? none : `${unbroken(duration(row.p50))}, ${unbroken(duration(row.p95))}`) },
  { key: "failed", name: "Failed", show: (row) => whole(row.failed ?? 0) },
  { key: "spark", name: "Waiting, last hour", plain: true, fill: (cell, row) => fillSpark(cell, live.sparks.get(row.function)) },
  { key: "actions", name: "", class: "actions", plain: true, fill: (cell, row) => fillButtons(cell, row, [
    { name: row.paused ? "Resume" : "Pause", does: pauseFunction }, { name: "Limit", does: limitFunction },
    { name: "Purge", danger: true, does: purgeFunction },
  ]) },
];

const overview = () => {
  const top = tiles([["queued", "Waiting"], ["scheduled", "Scheduled"], ["running", "Running"], ["workers", "Workers"],
    ["sleeping", "Sleeping"], ["connections", "Connections"], ["in", "In per second"], ["out", "Out per second"]]);
  const charts = new Charts([
    ["Waiting", level("queued"), "Running", level("running")],
    ["In per second", perSecond("submitted"), "Out per second", perSecond("ended")],
    ["Workers", level("workers"), "Failed per second", perSecond("failed")],
  ]);
  const table = new Table({
    name: "Functions", key: "function", order: "queued", columns: functionColumns(), describe: (row) => row.function,
    mark: (row) => (row.stalled ? "stalled" : ""), empty: "No function is known yet: none has been submitted, and no worker has come.",
  });
  const head = heading("Functions", "functions-note");
  return {
    content: [top.element, charts.element, filterBar(head.element, [table]), table.element],
    tick() {
      const { server } = live, now = pace();
      for (const key of ["queued", "scheduled", "running", "workers", "sleeping", "connections"]) setText(top.values[key], whole(server[key]));
      setText(top.values.in, rate(now.in));
      setText(top.values.out, rate(now.out));
      setText(head.note, `${whole(server.functions)}, ${whole(server.stalled)} without workers${leftOff(live.left.functions)}`);
      table.draw([...live.functions.values()]);
      charts.draw(live.samples);
    },
  };
};

const workers = () => {
  const head = heading("Workers", "workers-note");
  const table = new Table({
    name: "Workers", key: "connection", order: "running", describe: (row) => `${row.client_id} ${row.address} ${row.list}`,
    empty: "No worker is connected.",
    columns: [
      { key: "client_id", name: "Worker", words: true, show: (row) => row.client_id || `connection ${row.connection}` },
      { key: "address", name: "Address", words: true }, { key: "running", name: "Running", show: (row) => whole(row.running) },
      { key: "asleep", name: "Asleep", show: (row) => (row.sleeping ? "yes" : "no") },
      { key: "heard_at", name: "Last heard", show: (row) => (row.heard_at ? `${age(row.heard_at)} ago` : none) },
      { key: "connected_at", name: "Connected for", show: (row) => age(row.connected_at) },
      { key: "list", name: "Abilities", words: true },
    ],
  });
  return {
    content: [filterBar(head.element, [table]), table.element],
    tick() {
      setText(head.note, whole(live.server.workers) + leftOff(live.left.workers));
      table.draw([...live.workers.values()]);
    },
  };
};

const COUNTS = [["submitted", "Submitted"], ["coalesced", "Joined a live job"], ["rejected", "Rejected"], ["restored", "Came back from the store"],
  ["assigned", "Given to workers"], ["completed", "Completed"], ["failed", "Failed"], ["raised", "Raised"], ["expired", "Outlived their time"],
  ["lost", "Lost with their worker"], ["requeued", "Queued again"], ["cancelled", "Cancelled"], ["abandoned", "Abandoned by clients"],
  ["connections", "Connections accepted"]];

const LIMITS = { max_connections: "Connections", max_connections_per_address: "Connections of an address", max_jobs: "Jobs", max_jobs_per_function: "Jobs of a function",
  max_held_bytes: "Workloads, together", max_held_bytes_per_function: "Workloads of a function", max_packet_bytes: "A packet", max_attempts: "Attempts of a job",
  outbox_limit_bytes: "Waits to be sent to a peer" };

const server = () => {
  const charts = new Charts([["Event loop late by", level("lag")]], duration);
  const more = new Charts([["Connections", level("connections")]]);
  const about = card("Server"), store = card("Store"), counts = card("Since the start"), limits = card("Limits");
  const cards = make("div", undefined, "cards");
  limits.hidden = true;
  // They stay as they are while the server runs.
  ask("api/v1/server").then(({ limits: told }) => {
    const written = ([name, value]) => [LIMITS[name] ?? name, !value ? "none" : name.endsWith("bytes") ? bytes(value) : name.endsWith("seconds") ? duration(value) : whole(value)];
    limits.append(facts(Object.entries(told).map(written)));
    limits.hidden = false;
  }, () => {});
  cards.append(about, store, counts, limits);
  const fill = (element, pairs) => element.replaceChildren(element.firstElementChild, facts(pairs));
  return {
    content: [make("h2", "Server"), cards, charts.element, more.element],
    tick() {
      const { server: now } = live, last = live.samples.slice(-60), kept = now.store;
      fill(about, [["Listening on", now.addresses.join(", ")], ["Version", now.version], ["Started", moment(now.started_at)],
        ["State", now.accepting ? "takes new jobs" : "drains"], ["Connections", whole(now.connections)], ["Memory", bytes(now.memory_bytes)],
        ["Waits to be sent", bytes(now.outbox_bytes)], ["Received", bytes(now.counters.received_bytes)], ["Sent", bytes(now.counters.sent_bytes)],
        ["Event loop late, last minute", duration(last.length ? Math.max(...last.map((sample) => sample.lag ?? 0)) : null)]]);
      fill(store, kept ? [["Where", kept.name], ["State", kept.failure || (kept.refusing ? "refuses jobs" : kept.replaying ? "jobs are coming back" : "stores jobs")],
        ["Waits to be stored for", duration(kept.lag_seconds)], ["Commit takes, half of them", duration(kept.commit_seconds?.p50)],
        ["Commit takes, nearly all", duration(kept.commit_seconds?.p95)], ["Commits", whole(kept.commits)], ["Jobs added", whole(kept.added)],
        ["Jobs removed", whole(kept.removed)], ["Rows put into quarantine", whole(kept.quarantined)], ["Jobs being stored", whole(now.committing ?? 0)]]
        : [["Where", "in memory only: queued jobs end with the server"]]);
      fill(counts, COUNTS.filter(([key]) => now.counters[key] !== undefined).map(([key, name]) => [name, whole(now.counters[key])]));
      charts.draw(live.samples);
      more.draw(live.samples);
    },
  };
};
