// ---- actions: they need the token, which this tab alone remembers ----
const access = { readOnly: true, token: stored("sessionStorage", "token") };

function showAccess() {
  const place = byId("access");
  place.hidden = access.readOnly;
  place.textContent = access.token ? "Lock actions" : "Unlock actions";
}

async function lookUpAccess() {
  try { access.readOnly = (await ask("api/v1/token")).read_only; } catch { access.readOnly = true; }
  showAccess();
}

function remember(token) {
  access.token = token;
  stored("sessionStorage", "token", token);
  showAccess();
}

const authorized = (token) => ({ method: "POST", headers: { Authorization: `Bearer ${token}` } });

// One question in a dialog; `submit` gets the fields, may refuse by an error, and its value is the answer. Null: no.
function inquire({ title, text, yes, danger, fields = [], submit }) {
  const dialog = byId("ask"), form = byId("ask-form"), error = byId("ask-error");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-yes").className = danger ? "danger" : "";
  error.hidden = true;
  const inputs = fields.map(({ name, label, ...attributes }) => {
    const line = make("label", label), input = make("input");
    Object.assign(input, { name, autocomplete: "off", ...attributes });
    line.append(input);
    return { line, input };
  });
  byId("ask-fields").replaceChildren(...inputs.map(({ line }) => line));
  return new Promise((resolve) => {
    const end = (value) => {
      form.onsubmit = byId("ask-no").onclick = dialog.oncancel = null;
      dialog.close();
      // A secret must not stay in the page.
      byId("ask-fields").replaceChildren();
      resolve(value);
    };
    form.onsubmit = async (event) => {
      event.preventDefault();
      byId("ask-yes").disabled = true;
      try { end(await submit(Object.fromEntries(inputs.map(({ input }) => [input.name, input.value])))); }
      catch (exc) { error.textContent = exc.message; error.hidden = false; inputs[0]?.input.select(); }
      finally { byId("ask-yes").disabled = false; }
    };
    byId("ask-no").onclick = () => end(null);
    dialog.oncancel = () => end(null);
    dialog.showModal();
  });
}

const unlock = () => inquire({
  title: "Unlock actions", text: "The server was started with --web-token; who has it may change something.", yes: "Unlock",
  fields: [{ name: "token", label: "Token", type: "password", required: true }],
  submit: async ({ token }) => { await ask("api/v1/token", authorized(token)); remember(token); return true; },
});

byId("access").addEventListener("click", () => { if (access.token) remember(null); else unlock(); });

async function act(path, body) {
  try {
    const options = authorized(access.token);
    if (body) { options.body = JSON.stringify(body); options.headers["Content-Type"] = "application/json"; }
    return await ask(path, options);
  } catch (exc) {
    if (exc.status === 401) remember(null);
    throw exc;
  }
}

// Ask whether it is meant, ask for the token where it is not known, do it, and say what came of it.
async function offer({ title, text, yes, danger = false, fields, path, body = () => null }) {
  if (!access.token && !(await unlock())) return;
  const done = await inquire({ title, text, yes, danger, fields, submit: (given) => act(path, body(given)) });
  if (done) { notice(done.jobs === undefined ? done.done : `${done.done}: ${whole(done.jobs)} jobs`); refresh(); }
}

const cancelJob = (job) => offer({
  title: "Cancel the job?", text: `${job.handle} of ${job.function} ends, and its clients hear that it failed.`,
  yes: "Cancel it", danger: true, path: `api/v1/jobs/${inPath(job.handle)}/cancel`,
});
const requeueJob = (job) => offer({
  title: "Requeue the job?", text: `${job.handle} of ${job.function} is taken from its worker and queued again, at the tail of its priority.`,
  yes: "Requeue it", path: `api/v1/jobs/${inPath(job.handle)}/requeue`,
});
const resubmitJob = (job) => offer({
  title: "Submit the job again?", text: `${job.function} is submitted again as a background job, with the workload and the unique ID of ${job.handle}.`,
  yes: "Submit it", path: `api/v1/failed/${inPath(job.handle)}/requeue`,
});
const pauseFunction = (row) => offer(row.paused ? {
  title: "Resume the function?", text: `Workers get the jobs of ${row.function} again.`,
  yes: "Resume it", path: `api/v1/functions/${inPath(row.function)}/resume`,
} : {
  title: "Pause the function?", text: `Workers get no jobs of ${row.function} until it is resumed; those that run go on.`,
  yes: "Pause it", path: `api/v1/functions/${inPath(row.function)}/pause`,
});
const purgeFunction = (row) => offer({
  title: "Purge the function?", text: `Every job of ${row.function} that no worker has ends: ${whole(row.queued + row.scheduled)} at present. This cannot be undone.`,
  yes: "End them all", danger: true, path: `api/v1/functions/${inPath(row.function)}/purge`,
});
const limitFunction = (row) => offer({
  title: "Limit the queue?", text: `New jobs of ${row.function} are refused while it has so many jobs; 0 for no limit.`,
  yes: "Limit it", path: `api/v1/functions/${inPath(row.function)}/maxqueue`,
  fields: ["high", "normal", "low"].map((name, i) => ({
    name, label: `Priority ${name}`, type: "number", min: 0, required: true, value: row.max_queue?.[i] ?? 0,
  })),
  body: (given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [name, Number(value)])),
});
