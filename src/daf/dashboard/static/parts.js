// The runs inside a run: the trials of a sweep, the runs of an experiment.

import { h, link, status } from "./dom.js";
import { number } from "./scales.js";
import { Choice, tick } from "./choice.js";
import { progress } from "./runs.js";
import { Table } from "./table.js";

export function partsTab({ page }) {
  const choice = new Choice();
  const table = new Table([
    { name: "Compare", fixed: true, class: "pick", value: () => 0, cell: row => tick(row.key, () => choice.show()) },
    { name: "Run", class: "name", value: row => row.name, cell: row => h("a", { href: link("run", row.key) }, row.name) },
    { name: "Status", value: row => row.status ?? "", cell: row => status(row.status) },
    { name: "Progress", class: "progress", value: row => row.progress?.step ?? null, cell: progress },
    { name: "Return", n: true, value: row => row.progress?.return ?? null, cell: row => number(row.progress?.return) },
  ], { key: row => row.key, sort: "Run", label: "Runs" });
  table.update(page.parts);
  return { node: h("div", {}, choice.node, table.node), update: shown => table.update(shown.parts) };
}
