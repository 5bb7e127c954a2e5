// All runs: filtered by words, kind, status and tag, sorted, and selected for a comparison.

import { breakable, empty, h, link, status, text } from "./dom.js";
import { integer, seconds, when } from "./format.js";
import { number, short } from "./scales.js";
import { Choice, tick } from "./choice.js";
import { store } from "./store.js";
import { Table } from "./table.js";

export function runsView(_, query) {
  const search = h("input", { type: "search", placeholder: "Filter by name, tag, note, title, id or command", "aria-label": "Filter runs", value: query.get("q") ?? "" });
  const kind = h("select", { "aria-label": "Kind" });
  const state = h("select", { "aria-label": "Status" });
  const tag = h("select", { "aria-label": "Tag" });
  const count = h("output", { class: "muted" });
  const choice = new Choice();
  const nothing = empty();
  const table = new Table([
    { name: "Compare", fixed: true, class: "pick", value: () => 0, cell: row => tick(row.key, () => choice.show()) },
    { name: "Status", value: row => row.status, cell: row => status(row.status) },
    { name: "Run", class: "name", value: row => row.name || row.title || row.run_id, cell: row => title(row, choose) },
    { name: "Kind", value: row => row.kind, cell: row => row.kind },
    { name: "Progress", class: "progress", value: row => row.progress && (row.progress.total ? row.progress.step / row.progress.total : row.progress.step), cell: progress },
    { name: "Result", class: "result", title: "What the run found: the mean of its best policy with its interval, the value over replacement, the best trial; while it trains, the last return", value: row => row.result.value ?? row.progress?.return ?? null, cell: result },
    { name: "Started", n: true, value: row => row.started, cell: row => when(row.started) },
    { name: "Duration", n: true, value: row => row.seconds ?? (row.status === "running" ? Date.now() / 1000 - row.started : null), cell: row => (row.status === "running" ? "running" : seconds(row.seconds)) },
  ], { key: row => row.key, sort: query.get("sort") ?? "Started", down: query.get("down") !== "0", classes: "runs", label: "Runs", heard: remember, decorate: (node, row) => { node.dataset.status = row.status; } });
  const node = h("section", { "aria-label": "Runs" }, h("div", { class: "controls" }, search, kind, state, tag, count), choice.node, table.node, nothing);

  function options(select, name, values, wanted) {
    const before = select.options.length ? select.value : wanted ?? "";
    const known = [...new Set([...values, ...(before ? [before] : [])])].sort();
    if (select.options.length === known.length + 1 && known.every((value, i) => select.options[i + 1].value === value)) return;
    select.replaceChildren(h("option", { value: "" }, `any ${name}`), ...known.map(value => h("option", { value }, value)));
    select.value = before;
  }

  function choose(name) {
    tag.value = name;
    remember();
    refresh();
  }

  function remember() {
    const wanted = new URLSearchParams();
    if (search.value) wanted.set("q", search.value);
    if (kind.value) wanted.set("kind", kind.value);
    if (state.value) wanted.set("status", state.value);
    if (tag.value) wanted.set("tag", tag.value);
    if (table.sort !== "Started") wanted.set("sort", table.sort);
    if (!table.down) wanted.set("down", "0");
    history.replaceState(null, "", wanted.size ? `#/?${wanted}` : "#/");
  }

  function refresh() {
    const rows = [...store.rows.values()];
    options(kind, "kind", rows.map(row => row.kind), query.get("kind"));
    options(state, "status", rows.map(row => row.status), query.get("status"));
    options(tag, "tag", rows.flatMap(row => row.tags), query.get("tag"));
    tag.hidden = tag.options.length === 1;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = rows.filter(row => (!kind.value || row.kind === kind.value) && (!state.value || row.status === state.value)
      && (!tag.value || row.tags.includes(tag.value)) && words.every(word => searched(row).includes(word)));
    table.update(fits);
    table.node.hidden = rows.length === 0;
    nothing.hidden = fits.length > 0;
    text(nothing, rows.length ? "No run matches the filter." : store.version ? `No runs in ${store.base} yet. New runs, for example of daf train or daf evaluate, appear here automatically.` : "Loading runs…");
    const running = rows.filter(row => row.status === "running").length;
    text(count, `${fits.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}${running ? `, ${running} running` : ""}`);
    choice.show();
  }

  node.addEventListener("input", event => {
    if (event.target.matches("input[type=checkbox]")) return;
    remember();
    refresh();
  });
  node.addEventListener("keydown", event => {
    const row = document.activeElement.closest("tbody tr");
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (row && step && document.activeElement.matches("a")) {
      event.preventDefault();
      row[step]?.querySelector("a")?.focus();
    }
  });
  refresh();
  return { node, heard: event => { if (event === "runs" || event === "hello") refresh(); } };
}

function result(row) {
  return row.status === "running" ? (row.progress ? number(row.progress.return) : "") : row.result.text;
}

function searched(row) {
  return [row.name ?? "", ...row.tags, row.note ?? "", row.key, row.kind, row.title, row.command, row.status].join(" ").toLowerCase();
}

function title(row, choose) {
  return h("div", {}, h("a", { href: link("run", row.key) }, breakable(row.name || row.title || row.run_id)), row.tags.length ? h("span", { class: "tags" }, tags(row.tags, choose)) : null,
    h("span", { class: "muted id" }, row.name && row.title ? `${row.title} · ${row.run_id}` : row.run_id), row.note && h("span", { class: "note", title: row.note }, row.note.split("\n")[0]), row.error && h("span", { class: "error" }, row.error));
}

// Tags as buttons that filter the list, or as links to the list with that filter.
export function tags(names, choose = null) {
  return names.map(name => (choose ? h("button", { type: "button", class: "label-tag", title: `Show runs with the tag ${name}`, onclick: () => choose(name) }, name)
    : h("a", { class: "label-tag", href: `#/?${new URLSearchParams({ tag: name })}` }, name)));
}

export function progress(row) {
  const done = row.progress;
  if (!done) return "";
  const share = done.total ? Math.min(1, done.step / done.total) : null;
  const words = done.total ? `${short(done.step)} of ${short(done.total)} steps` : `${short(done.step)} steps`;
  const bar = share === null ? null : h("i", { class: "bar" }, h("b"));
  if (bar) bar.firstChild.style.width = `${share * 100}%`;
  const left = row.status === "running" && done.total && done.sps ? `, ${seconds((done.total - done.step) / done.sps)} left` : "";
  const speed = row.status === "running" && done.sps ? ` · ${short(done.sps)} steps/s` : "";
  return h("span", { class: "advance", title: `${integer(done.step)} agent steps` }, bar, h("span", {}, words + speed + left));
}
