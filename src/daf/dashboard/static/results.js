// Tables of a comparison: ranking with intervals, and pairs with their verdicts.

import { h } from "./dom.js";
import { estimates, integer } from "./format.js";
import { number } from "./scales.js";
import { forest } from "./forest.js";
import { Table } from "./table.js";

const DECIDED = new Set(["better", "worse", "equal", "identical"]);

export function ranking(rows, label) {
  const means = estimates(rows, row => row.mean, row => row.ci);
  const middles = estimates(rows, row => row.iqm, row => row.iqm_ci);
  const table = new Table([
    { name: "Rank", n: true, value: row => row.rank, cell: row => String(row.rank ?? "") },
    { name: "Policy", class: "name", value: row => row.policy, cell: row => h("span", {}, row.policy, row.caveat && h("span", { class: "muted id" }, row.caveat)) },
    { name: "Mean", n: true, value: row => row.mean, cell: row => h("strong", {}, means.get(row).value) },
    { name: "95 % interval", n: true, value: row => row.ci?.[0], cell: row => means.get(row).interval },
    { name: "IQM", n: true, title: "Interquartile mean: the mean of the middle half", value: row => row.iqm, cell: row => middles.get(row).value },
    { name: "n", n: true, title: "Episodes", value: row => row.n, cell: row => integer(row.n) },
  ], { key: row => row.policy, sort: "Rank", label: "Ranking" });
  table.update(rows);
  return [h("h2", {}, "Ranking"), forest(rows.map((row, slot) => ({ name: row.policy, mean: row.mean, ci: row.ci, slot })), label), table.node];
}

export function pairs(all) {
  const several = new Set(all.map(row => row.mission).filter(Boolean)).size > 1;
  const rows = several ? all : all.filter(row => row.mission === null);
  const apart = estimates(rows, row => row.difference, row => row.ci);
  const table = new Table([
    { name: "Verdict", value: row => row.verdict, cell: row => h("span", { class: `tag ${DECIDED.has(row.verdict) ? "good" : ""}` }, DECIDED.has(row.verdict) ? "decided" : row.verdict) },
    { name: "Finding", value: row => row.sentence, cell: row => row.sentence },
    { name: "Mission", value: row => row.mission ?? "", cell: row => row.mission ?? "all" },
    { name: "Difference", n: true, value: row => row.difference, cell: row => apart.get(row).value },
    { name: "95 % interval", n: true, value: row => row.ci?.[0], cell: row => apart.get(row).interval },
    { name: "Adjusted p", n: true, value: row => row.p_adjusted, cell: row => number(row.p_adjusted, 2) },
  ], { key: row => `${row.a}|${row.b}|${row.mission}`, label: "Pairs", most: 60 });
  table.update(rows);
  return [h("h2", {}, "Pairwise comparisons"), h("p", { class: "muted" }, "Paired on identical episodes. p values are adjusted for all comparisons of the run."), table.node];
}
