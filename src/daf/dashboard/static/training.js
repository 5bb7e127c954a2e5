// The curves of one training run, and its evaluations as a table.

import { alertBox, h, text } from "./dom.js";
import { integer, interval, within } from "./format.js";
import { curvePanel } from "./panel.js";
import { Table } from "./table.js";

export function curvesTab({ curves }) {
  const panel = curvePanel([{ label: "this run", slot: 0, curves }]);
  const damaged = alertBox("warn", "");
  const evaluations = new Table([
    { name: "Step", n: true, value: row => row.step, cell: row => integer(row.step) },
    { name: "Mission", value: row => row.mission, cell: row => row.mission },
    { name: "Mean return", n: true, value: row => row.mean, cell: row => within(row.mean, [row.low, row.high]) },
    { name: "Interval", n: true, title: "Confidence interval of the mean, as the run computed it", value: row => row.low, cell: row => interval([row.low, row.high]) },
    { name: "IQM", n: true, value: row => row.iqm, cell: row => within(row.iqm, [row.low, row.high]) },
    { name: "Episodes", n: true, value: row => row.n, cell: row => integer(row.n) },
  ], { key: row => `${row.step} ${row.mission}`, sort: "Step", down: true, label: "Evaluations", most: 40 });
  const section = h("section", {}, h("h2", {}, "Evaluations"), evaluations.node);
  const node = h("div", {}, damaged, panel.node, section);

  function update() {
    panel.update();
    damaged.hidden = curves.damaged === 0;
    text(damaged.querySelector("p") ?? damaged.appendChild(h("p")), `${curves.damaged} lines of the run's files are damaged and left out.`);
    const rows = curves.evaluations.flatMap(record => Object.entries(record.missions ?? {}).map(([mission, value]) => ({ step: record.step, mission, ...value })));
    section.hidden = rows.length === 0;
    evaluations.update(rows);
  }

  update();
  return { node, curves: update, update: () => {}, close: panel.close };
}
