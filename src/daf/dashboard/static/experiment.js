// The runs of an experiment: settings, steps and last evaluation of each.

import { h, link, status } from "./dom.js";
import { forest } from "./forest.js";
import { integer, interval, within } from "./format.js";
import { Table } from "./table.js";
import { leaf } from "./tree.js";

export function isExperiment(results) {
  return Array.isArray(results.runs) && results.runs.length > 0 && results.runs.every(run => run && typeof run.settings === "object" && Array.isArray(run.scores));
}

export function experiment(key, results) {
  const last = run => run.scores.at(-1) ?? null;
  const settings = [...new Set(results.runs.flatMap(run => Object.keys(run.settings)))];
  const place = run => (run.run_dir ? link("run", key, "runs", run.run_dir.split("/").at(-1)) : null);
  const table = new Table([
    { name: "Run", value: row => row.name, cell: row => h("span", {}, place(row) ? h("a", { href: place(row) }, row.name) : row.name, row.name === results.best ? h("span", { class: "tag good best" }, "best") : null) },
    { name: "Status", value: row => row.status, cell: row => h("span", {}, status(row.status), row.error && h("span", { class: "error" }, row.error)) },
    ...settings.map(name => ({ name, n: true, value: row => row.settings[name] ?? null, cell: row => (name in row.settings ? leaf(row.settings[name]) : "") })),
    { name: "Steps", n: true, value: row => row.steps, cell: row => integer(row.steps) },
    { name: "Mean return", n: true, value: row => last(row)?.mean ?? null, cell: row => h("strong", {}, within(last(row)?.mean, last(row) && [last(row).low, last(row).high], results.runs.map(run => last(run)?.mean))) },
    { name: "Interval", n: true, value: row => last(row)?.low ?? null, cell: row => interval(last(row) && [last(row).low, last(row).high]) },
    { name: "Episodes", n: true, value: row => last(row)?.n ?? null, cell: row => integer(last(row)?.n) },
    { name: "Reason", value: row => row.why ?? "", cell: row => row.why ?? "" },
  ], { key: row => row.name, sort: "Mean return", down: true, label: "Runs of the experiment" });
  table.update(results.runs);
  const scored = results.runs.filter(run => Number.isFinite(last(run)?.mean)).sort((a, b) => last(b).mean - last(a).mean).slice(0, 30);
  const rows = scored.map(run => ({ name: run.name, slot: 0, mean: last(run).mean, ci: Number.isFinite(last(run).low) ? [last(run).low, last(run).high] : null }));
  return [h("h2", {}, "Runs"), rows.length ? forest(rows, "Mean return of each run's last evaluation") : null, table.node].filter(Boolean);
}
