// All runs: found by words, kind and state, sorted, and chosen for a comparison.

import { empty, h, link, status, text } from "./dom.js";
import { integer, number, seconds, short, when } from "./format.js";
import { Choice, tick } from "./choice.js";
import { store } from "./store.js";
import { Table } from "./table.js";

export function runsView(_, query) {
  const search = h("input", { type: "search", placeholder: "Filter: words of title, id, command", "aria-label": "Filter runs", value: query.get("q") ?? "" });
  const kind = h("select", { "aria-label": "Operation" });
  const state = h("select", { "aria-label": "Status" });
  const count = h("output", { class: "muted" });
  const choice = new Choice();
  const nothing = empty();
  const table = new Table([
    { name: "Compare", fixed: true, class: "pick", value: () => 0, cell: row => tick(row.key, () => choice.show()) },
    { name: "Status", value: row => row.status, cell: row => status(row.status) },
    { name: "Run", class: "name", value: row => row.title || row.run_id, cell: title },
    { name: "Operation", value: row => row.operation, cell: row => row.operation },
    { name: "Progress", class: "progress", value: row => row.progress && (row.progress.total ? row.progress.step / row.progress.total : row.progress.step), cell: progress },
    { name: "Return", n: true, title: "Mean return of the episodes that ended in the last update of a training run", value: row => row.progress?.return ?? null, cell: row => (row.progress ? number(row.progress.return) : "") },
    { name: "Started", n: true, value: row => row.started, cell: row => when(row.started) },
    { name: "Took", n: true, value: row => row.seconds ?? (row.status === "running" ? Date.now() / 1000 - row.started : null), cell: row => (row.status === "running" ? "running" : seconds(row.seconds)) },
  ], { key: row => row.key, sort: query.get("sort") ?? "Started", down: query.get("down") !== "0", classes: "runs", label: "Runs", heard: remember, decorate: (node, row) => { node.dataset.status = row.status; } });
  const node = h("section", { "aria-label": "Runs" }, h("div", { class: "controls" }, search, kind, state, count), choice.node, table.node, nothing);

  function options(select, name, values, wanted) {
    const before = select.options.length ? select.value : wanted ?? "";
    const known = [...new Set([...values, ...(before ? [before] : [])])].sort();
    if (select.options.length === known.length + 1 && known.every((value, i) => select.options[i + 1].value === value)) return;
    select.replaceChildren(h("option", { value: "" }, `any ${name}`), ...known.map(value => h("option", { value }, value)));
    select.value = before;
  }

  function remember() {
    const told = new URLSearchParams();
    if (search.value) told.set("q", search.value);
    if (kind.value) told.set("operation", kind.value);
    if (state.value) told.set("status", state.value);
    if (table.sort !== "Started") told.set("sort", table.sort);
    if (!table.down) told.set("down", "0");
    history.replaceState(null, "", told.size ? `#/?${told}` : "#/");
  }

  function refresh() {
    const rows = [...store.rows.values()];
    options(kind, "operation", rows.map(row => row.operation), query.get("operation"));
    options(state, "status", rows.map(row => row.status), query.get("status"));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = rows.filter(row => (!kind.value || row.operation === kind.value) && (!state.value || row.status === state.value)
      && words.every(word => `${row.key} ${row.title} ${row.command} ${row.status}`.toLowerCase().includes(word)));
    table.update(fits);
    table.node.hidden = rows.length === 0;
    nothing.hidden = fits.length > 0;
    text(nothing, rows.length ? "No run fits the filter." : store.version ? `No runs in ${store.base} yet. What daf train, daf evaluate and the others do there appears here by itself.` : "Reading the runs…");
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

function title(row) {
  return h("div", {}, h("a", { href: link("run", row.key) }, row.title || row.run_id), h("span", { class: "muted id" }, row.run_id), row.error && h("span", { class: "error" }, row.error));
}

export function progress(row) {
  const told = row.progress;
  if (!told) return "";
  const share = told.total ? Math.min(1, told.step / told.total) : null;
  const words = told.total ? `${short(told.step)} of ${short(told.total)} steps` : `${short(told.step)} steps`;
  const bar = share === null ? null : h("i", { class: "bar" }, h("b"));
  if (bar) bar.firstChild.style.width = `${share * 100}%`;
  const left = row.status === "running" && told.total && told.sps ? `, ${seconds((told.total - told.step) / told.sps)} left` : "";
  const speed = row.status === "running" && told.sps ? ` · ${short(told.sps)} steps/s` : "";
  return h("span", { class: "advance", title: `${integer(told.step)} agent steps` }, bar, h("span", {}, words + speed + left));
}
