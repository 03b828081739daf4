// ---- views of single jobs: fetched anew with each event, as long as they are looked at ----
function polled(fetching, show) {
  // One question at a time; what comes after the view was left is dropped.
  const view = { busy: false, left: false };
  view.tick = async () => {
    if (view.busy || view.left) return;
    view.busy = true;
    try {
      const content = await fetching();
      if (!view.left) show(content);
    } catch (exc) {
      if (!view.left && exc instanceof Refused) notice(exc.message, true);
    } finally { view.busy = false; }
  };
  view.leave = () => { view.left = true; };
  return view;
}

const jobColumn = { key: "handle", name: "Job", fill: (cell, row) => fillLink(cell, row.handle, jobPlace(row.handle)) };
const functionColumn = { key: "function", name: "Function", words: true };
const uniqueColumn = { key: "unique", name: "Unique ID", words: true, show: (row) => row.unique || none };
const priorityColumn = { key: "priority", name: "Priority" };
const sizeColumn = { key: "workload_bytes", name: "Workload", show: (row) => bytes(row.workload_bytes) };
const attemptsColumn = { key: "attempts", name: "Attempts", show: (row) => whole(row.attempts) };
const clientsColumn = { key: "clients", name: "Clients", show: (row) => whole(row.clients) };
const workerName = (worker) => (worker ? worker.client_id || worker.address || `connection ${worker.connection}` : none);
const buttons = (...actions) => ({ key: "actions", name: "", class: "actions", plain: true, fill: (cell, row) => fillButtons(cell, row, actions) });
const CANCEL = { name: "Cancel", danger: true, does: cancelJob };

const PAGES = {
  running: {
    title: "Running jobs", empty: "No job is running.",
    columns: () => [jobColumn, functionColumn, { key: "progress", name: "Progress", fill: fillProgress },
      { key: "since", name: "Running for", show: (row) => age(row.since) }, { key: "worker", name: "Worker", words: true, show: (row) => workerName(row.worker) },
      priorityColumn, attemptsColumn, clientsColumn, uniqueColumn, buttons(CANCEL, { name: "Requeue", does: requeueJob })],
  },
  queued: {
    title: "Queued jobs", empty: "No such job is queued.",
    columns: () => [jobColumn, functionColumn, priorityColumn, uniqueColumn, { key: "since", name: "Waits for", show: (row) => age(row.since) },
      sizeColumn, attemptsColumn, clientsColumn, { key: "background", name: "Background", show: (row) => (row.background ? "yes" : "no") }, buttons(CANCEL)],
  },
  scheduled: {
    title: "Scheduled jobs", empty: "No such job is scheduled.",
    columns: () => [jobColumn, functionColumn, { key: "run_at", name: "Runs at", show: (row) => moment(row.run_at) },
      { key: "due", name: "Due", show: (row) => until(row.run_at) }, priorityColumn, uniqueColumn, sizeColumn, buttons(CANCEL)],
  },
};

function field(form, label, name, value, choices) {
  const line = make("label", label), input = make(choices ? "select" : "input");
  input.name = name;
  if (choices) input.append(...choices.map(([key, text]) => Object.assign(make("option", text), { value: key })));
  else Object.assign(input, { type: "search", autocomplete: "off" });
  input.value = value ?? "";
  line.append(input);
  form.append(line);
}

function filters(state, given) {
  const form = make("form", undefined, "filters");
  form.setAttribute("role", "search");
  field(form, "Function", "function", given.function);
  field(form, "Priority", "priority", given.priority, [["", "any"], ["high", "high"], ["normal", "normal"], ["low", "low"]]);
  field(form, "Unique ID (a* begins with a)", "unique", given.unique);
  if (state === "queued") {
    field(form, "Waits for", "older", given.older, [["", "any time"], ["10", "10 s or longer"], ["60", "a minute or longer"],
      ["600", "10 minutes or longer"], ["3600", "an hour or longer"], ["86400", "a day or longer"]]);
  }
  const submit = make("button", "Search");
  form.append(submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = place(state, Object.fromEntries(new FormData(form)));
  });
  return form;
}

const jobsView = (state) => (given) => {
  const page = PAGES[state];
  const table = new Table({ name: "Jobs", key: "handle", columns: page.columns(), empty: page.empty });
  const pager = make("p", undefined, "pager"), note = make("span", "", "faint");
  const first = link("First page", place(state, { ...given, after: "" })), next = link("Next page", "#");
  pager.append(first, next, note);
  first.hidden = !given.after;
  next.hidden = true;
  const view = polled(() => ask(`api/v1/jobs${query({ ...given, state, limit: 100 })}`), (content) => {
    table.draw(content.jobs);
    next.hidden = content.after === null;
    if (content.after !== null) next.setAttribute("href", place(state, { ...given, after: content.after }));
    const goesOn = content.after !== null && content.jobs.length < 100 ? "; the search goes on on the next page" : "";
    setText(note, `${whole(content.jobs.length)} shown, ${whole(content.looked_at)} looked at${goesOn}`);
  });
  return { ...view, leave: view.leave, content: [make("h2", page.title), filters(state, given), table.element, pager] };
};

const failed = (given) => {
  const table = new Table({
    name: "Failed", key: "handle", empty: "No job has failed lately.",
    columns: [jobColumn, functionColumn, uniqueColumn, { key: "ended_at", name: "Failed", show: (row) => `${age(row.ended_at)} ago` },
      { key: "outcome", name: "How", show: outcome }, { key: "reason", name: "Why", words: true, class: "wide", show: (row) => row.reason || none },
      { key: "ran_seconds", name: "Ran for", show: (row) => (row.ran_seconds === null ? none : duration(row.ran_seconds)) }, attemptsColumn,
      { key: "client_id", name: "Worker", words: true, show: (row) => (row.ran_seconds === null ? none : workerName(row)) },
      { key: "actions", name: "", class: "actions", plain: true, fill: (cell, row) => {
        if (row.requeued_as) { delete cell.dataset.names; fillLink(cell, "submitted again", jobPlace(row.requeued_as)); }
        else fillButtons(cell, row, row.requeueable ? [{ name: "Submit again", does: resubmitJob }] : []);
      } }],
  });
  const form = make("form", undefined, "filters"), note = make("p", "", "faint");
  form.setAttribute("role", "search");
  field(form, "Function", "function", given.function);
  form.append(make("button", "Search"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = place("failed", Object.fromEntries(new FormData(form)));
  });
  const view = polled(() => ask(`api/v1/failed${query({ ...given, limit: 500 })}`), (content) => {
    table.draw(content.failed);
    setText(note, `The last ${whole(content.total)} that failed since the server started, the latest first.`);
  });
  return { ...view, content: [make("h2", "Failed jobs"), form, table.element, note] };
};

const OUTCOMES = { fail: "failed", exception: "raised", timed_out: "outlived its time", lost: "lost with its worker", cancelled: "cancelled" };
// Without a worker, it was lost with its workload.
const outcome = (row) => (row.outcome === "lost" && row.ran_seconds === null ? "lost" : OUTCOMES[row.outcome] ?? row.outcome);

function timeline(job) {
  const list = make("ol", undefined, "timeline");
  for (const event of job.timeline ?? []) {
    const line = make("li", event.what);
    if (event.time) line.append(make("span", ` · ${moment(event.time)}${event.time <= serverNow() ? `, ${age(event.time)} ago` : `, ${until(event.time)}`}`, "faint"));
    list.append(line);
  }
  return list;
}

function workloadCard(job) {
  const shown = job.workload;
  if (!shown) return card("Workload", make("p", job.spilled ? `It ${job.live ? "is" : "was"} in the store alone: ${bytes(job.workload_bytes)}.` : job.workload_hidden ? `Not shown: the server was started with --web-hide-workloads. ${bytes(job.workload_bytes)}.` : "It was not kept."));
  let words = shown.text;
  if (shown.kind === "json") { try { words = JSON.stringify(JSON.parse(words), null, 2); } catch { /* As it is. */ } }
  const part = shown.shown_bytes < shown.bytes ? `the first ${bytes(shown.shown_bytes)} of ${bytes(shown.bytes)}` : bytes(shown.bytes);
  const pre = make("pre", words, shown.kind);
  pre.tabIndex = 0;
  pre.setAttribute("aria-label", "workload");
  return card("Workload", make("p", `${shown.kind}, ${part}`, "faint"), ...(shown.bytes ? [pre] : []));
}

const job = (given, handle) => {
  const state = make("p", "", "faint"), about = make("div", undefined, "cards"), bar = make("div", undefined, "pager");
  const progress = make("p");
  let drawn = "";
  const draw = (found) => {
    setText(state, found.live ? `It is ${found.state}.` : `It has ended: ${outcome(found)}.`);
    fillProgress(progress, found.live ? found : {});
    progress.hidden = !found.live || found.progress === null;
    fillButtons(bar, found, !found.live ? (found.requeueable ? [{ name: "Submit again", does: resubmitJob }] : [])
      : found.state === "running" ? [CANCEL, { name: "Requeue", does: requeueJob }] : [CANCEL]);
    // What is selected in a text stays so until the job changes.
    const now = JSON.stringify({ ...found, progress: 0, numerator: 0, denominator: 0 });
    if (now === drawn) return;
    drawn = now;
    const worker = found.worker ? `${workerName(found.worker)}, ${found.worker.address}` : none;
    about.replaceChildren(
      card("Job", facts([["Function", link(found.function, place("queued", { function: found.function }))], ["Unique ID", found.unique || none],
        ["Priority", found.priority], ["Background", found.background ? "yes" : "no"], ["Attempts", whole(found.attempts)],
        ["Worker", worker], ["Clients that hear of it", found.clients === undefined ? none : whole(found.clients)],
        ["In the store", found.stored === undefined ? none : found.stored ? "yes" : "no"], ["Reducer", found.reducer || none],
        ...(found.reason ? [["Why it failed", found.reason]] : [])])),
      card("Timeline", timeline(found)), workloadCard(found));
    // Sixteen bytes a line take more room than a column has.
    about.lastElementChild.classList.add("across");
  };
  const gone = () => {
    setText(state, "There is no such live job, and it is none of the last that failed. It may have completed.");
    bar.replaceChildren();
    delete bar.dataset.names;
    progress.hidden = true;
  };
  const view = polled(async () => {
    try { return await ask(`api/v1/jobs/${inPath(handle)}`); } catch (exc) { if (exc.status === 404) return null; throw exc; }
  }, (found) => (found ? draw(found) : gone()));
  return { ...view, content: [make("h2", `Job ${handle}`), state, progress, bar, about] };
};
