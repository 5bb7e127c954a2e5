// The best trials of a sweep on held-out episodes, compared with the default configuration.

import { alertBox, h } from "./dom.js";
import { counted, estimates } from "./format.js";
import { number } from "./scales.js";
import { Table } from "./table.js";

const DECIDED = new Set(["better", "worse", "identical"]);

export function isHeldOut(record) {
  return Array.isArray(record.trials) && record.trials.length > 0 && record.trials.every(row => row !== null && typeof row === "object" && "trial" in row && "value" in row);
}

export function heldOut(record) {
  const fallback = record.default ? [{ ...record.default, trial: null }] : [];
  const rows = [...record.trials, ...fallback];
  const before = estimates(rows, row => row.in_the_sweep, () => null);
  const again = estimates(rows, row => row.value, () => null);
  const apart = estimates(rows, row => row.difference, row => row.ci);
  const trial = row => (row.trial === null ? "default" : String(row.trial));
  const table = new Table([
    { name: "Trial", n: true, value: row => row.trial, cell: row => h("span", {}, trial(row), row.trial !== null && row.trial === record.winner ? h("span", { class: "tag good best" }, "best") : null) },
    { name: "In the sweep", n: true, title: `${record.objective} on the episodes of the sweep, which selected the trial`, value: row => row.in_the_sweep, cell: row => before.get(row).value },
    { name: "Held out", n: true, title: `${record.objective} on held-out episodes`, value: row => row.value, cell: row => (row.error ? h("span", { class: "error" }, row.error) : h("strong", {}, again.get(row).value)) },
    { name: "Difference", n: true, title: "From the default configuration, on the same episodes", value: row => row.difference, cell: row => apart.get(row).value },
    { name: "Interval", n: true, title: "Of the difference, for each trial separately", value: row => row.ci?.[0], cell: row => apart.get(row).interval },
    { name: "Adjusted p", n: true, title: "Corrected for the number of trials", value: row => row.p_adjusted, cell: row => (Number.isFinite(row.p_adjusted) ? (row.p_adjusted < 1e-4 ? "<0.0001" : number(row.p_adjusted, 2)) : "–") },
    { name: "Verdict", value: row => row.verdict ?? "", cell: row => (row.verdict ? h("span", { class: `tag ${DECIDED.has(row.verdict) ? "good" : ""}`, title: row.sentence }, row.verdict) : "") },
  ], { key: trial, label: "Held-out seeds" });
  table.update(rows);
  const sentences = record.trials.map(row => row.sentence).filter(Boolean);
  return [
    h("p", { class: "muted" }, `${record.objective} on ${counted(record.episodes, "new episode")} of each mission, with seeds from ${record.seed}. They played no part in selecting trials.`),
    record.default_failed ? alertBox("warn", "The default configuration has no result.", h("p", {}, record.default_failed)) : null,
    sentences.length ? h("ul", { class: "said" }, sentences.map(one => h("li", {}, one))) : null,
    table.node,
    ...(record.training_seeds?.trials?.length ? trainingSeeds(record.training_seeds, record.objective) : []),
  ].filter(Boolean);
}

// The best configurations, each trained again with several seeds.
function trainingSeeds(record, objective) {
  const rows = [...record.trials, ...(record.default ? [record.default] : [])];
  const means = estimates(rows, row => row.mean, row => row.ci);
  const trial = row => (row.trial < 0 ? "default" : String(row.trial));
  const table = new Table([
    { name: "Trial", n: true, value: row => row.trial, cell: row => h("span", {}, trial(row), row.trial === record.winner ? h("span", { class: "tag good best" }, "best") : null) },
    { name: "Training runs", n: true, value: row => row.runs.length, cell: row => String(row.runs.length) },
    { name: "Mean", n: true, title: `${objective} on held-out episodes, over training runs`, value: row => row.mean, cell: row => h("strong", {}, means.get(row).value) },
    { name: "Interval", n: true, title: "Of the mean (Student's t)", value: row => row.ci?.[0], cell: row => means.get(row).interval },
    { name: "Standard deviation", n: true, title: "Over training runs", value: row => row.spread, cell: row => (row.spread === null ? "–" : number(row.spread, 2)) },
  ], { key: trial, label: "Training seeds" });
  table.update(rows);
  return [
    h("h2", {}, "Training seeds"),
    h("p", { class: "muted" }, `${objective} of configurations that were trained ${counted(record.seeds.length, "more time")}, with seeds from ${record.seeds[0]}.`),
    h("ul", { class: "said" }, record.sentences.map(one => h("li", {}, one))),
    table.node,
  ];
}
