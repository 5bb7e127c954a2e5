// The runs inside a run (the trials of a sweep, the runs of an experiment): their curves together, and a table.

import { fill, h, link, status } from "./dom.js";
import { counted } from "./format.js";
import { number } from "./scales.js";
import { Choice, tick } from "./choice.js";
import { Curves } from "./curves.js";
import { curvePanel } from "./panel.js";
import { progress } from "./runs.js";
import { Table } from "./table.js";

const MOST = 10;

export function partsTab({ page }) {
  const choice = new Choice();
  const table = new Table([
    { name: "Compare", fixed: true, class: "pick", value: () => 0, cell: row => tick(row.key, () => choice.show()) },
    { name: "Run", class: "name", value: row => row.name, cell: row => h("a", { href: link("run", row.key) }, row.name) },
    { name: "Status", value: row => row.status ?? "", cell: row => status(row.status) },
    { name: "Progress", class: "progress", value: row => row.progress?.step ?? null, cell: progress },
    { name: "Return", n: true, value: row => row.progress?.return ?? null, cell: row => number(row.progress?.return) },
  ], { key: row => row.key, sort: "Run", label: "Runs" });
  const drawn = leading(page.parts).map((part, slot) => ({ key: part.key, slot, label: part.name.split("/").at(-1).replace(`${page.run_id}-`, ""), curves: new Curves() }));
  const panel = drawn.length ? curvePanel(drawn) : null;
  const section = h("section", { "aria-label": "Curves of the runs", hidden: true });
  if (panel) fill(section, [h("h2", {}, "Curves"), drawn.length < page.parts.length ? h("p", { class: "muted" }, `The ${drawn.length} of ${counted(page.parts.length, "run")} with the highest last return.`) : null, panel.node]);
  table.update(page.parts);
  return {
    node: h("div", {}, choice.node, table.node, section),
    keys: drawn.map(run => run.key),
    update: shown => table.update(shown.parts),
    part: data => {
      const run = drawn.find(one => one.key === data.key);
      if (!run) return;
      run.curves.take(data);
      section.hidden = drawn.every(one => one.curves.series.size === 0);
      panel.update();
    },
    close: () => panel?.close(),
  };
}

// The runs whose curves are drawn: all, or those with the highest return so far, in the order of their names.
function leading(parts) {
  const value = part => part.progress?.return ?? -Infinity;
  const best = new Set([...parts].sort((a, b) => value(b) - value(a) || 0).slice(0, MOST));
  return parts.filter(part => best.has(part));
}
