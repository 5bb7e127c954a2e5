// The state of the page, and the single stream of events that keeps it up to date.
//
// A page in the background closes its stream and reopens it when it becomes visible: browsers allow six connections
// to a server, and a forgotten tab should not hold one.

const SAMPLES = 900;
const RETRY_MS = 1000;

export const store = { rows: new Map(), version: "", base: "", facts: null, samples: [], state: "waiting" };

const listeners = new Set();
let source = null;
let wanted = { keys: [], log: null };

export function listen(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

function notify(event, data) {
  for (const heard of [...listeners]) heard(event, data);
}

export function watch(keys = [], log = null) {
  wanted = { keys, log };
  open();
}

function open() {
  source?.close();
  source = null;
  if (document.hidden) return;
  const query = new URLSearchParams();
  for (const key of wanted.keys) query.append("watch", key);
  if (store.version) query.set("since", store.version);
  query.set("sampled", store.samples.at(-1)?.time ?? 0);
  if (wanted.log) {
    query.set("log_key", wanted.log.key);
    query.set("log", wanted.log.file);
    query.set("log_from", wanted.log.from());
  }
  const mine = new EventSource(`/api/events?${query}`);
  source = mine;
  mine.addEventListener("error", () => {
    mine.close();
    state("lost");
    setTimeout(() => { if (source === mine) again(); }, RETRY_MS);
  });
  for (const name of ["hello", "runs", "page", "curves", "log", "machine"]) {
    mine.addEventListener(name, event => {
      if (source === mine) take(name, JSON.parse(event.data), event.lastEventId);
    });
  }
}

// A restarted server has a new token, so further requests would not help.
async function again() {
  const answer = await fetch("/theme.css").catch(() => null);
  if (answer?.status === 401) state("refused");
  else open();
}

function take(name, data, id) {
  state("live");
  if (name === "hello") {
    if (!store.version.startsWith(`${data.boot}.`)) {
      store.rows.clear();
      store.samples = [];
    }
    store.base = data.base;
    store.facts = data.machine;
  }
  if (name === "runs") {
    store.version = id;
    for (const row of data.rows) store.rows.set(row.key, row);
    for (const key of data.gone) store.rows.delete(key);
  }
  if (name === "machine") {
    store.samples.push(...data.samples);
    store.samples.splice(0, Math.max(0, store.samples.length - SAMPLES));
  }
  notify(name, data);
}

function state(value) {
  if (store.state === value) return;
  store.state = value;
  notify("state", value);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (source === null) {
    open();
  }
});
