// The curves of one training run, and a table of its evaluations.

import { alertBox, fill, h, link, text } from "./dom.js";
import { counted, estimates, integer } from "./format.js";
import { curvePanel } from "./panel.js";
import { Table } from "./table.js";

export function curvesTab({ key, curves }) {
  const panel = curvePanel([{ label: "this run", slot: 0, curves }]);
  const damaged = alertBox("warn", "");
  const failures = alertBox("bad", "");
  let means = new Map();
  let middles = new Map();
  const evaluations = new Table([
    { name: "Step", n: true, value: row => row.step, cell: row => integer(row.step) },
    { name: "Mission", value: row => row.mission, cell: row => row.mission },
    { name: "Mean return", n: true, value: row => row.mean, cell: row => means.get(row).value },
    { name: "Interval", n: true, title: "Confidence interval of the mean, as the run computed it", value: row => row.low, cell: row => means.get(row).interval },
    { name: "IQM", n: true, value: row => row.iqm, cell: row => middles.get(row).value },
    { name: "Episodes", n: true, value: row => row.n, cell: row => (row.failed ? h("span", {}, integer(row.n), h("span", { class: "error" }, `${row.failed} failed`)) : integer(row.n)) },
    { name: "Replays", fixed: true, value: () => 0, cell: row => h("span", {}, row.replays.flatMap((file, i) => [i ? " " : null, h("a", { href: `${link("run", key, "replays")}?file=${encodeURIComponent(file)}` }, row.replays.length > 1 ? String(i + 1) : "play")])) },
  ], { key: row => `${row.step} ${row.mission}`, sort: "Step", down: true, label: "Evaluations", most: 40 });
  const section = h("section", {}, h("h2", {}, "Evaluations"), evaluations.node);
  const node = h("div", {}, failures, damaged, panel.node, section);

  function update() {
    panel.update();
    damaged.hidden = curves.damaged === 0;
    text(damaged.querySelector("p") ?? damaged.appendChild(h("p")), `${counted(curves.damaged, "damaged line")} omitted.`);
    const broken = curves.evaluations.filter(record => record.failed);
    failures.hidden = broken.length === 0;
    if (broken.length) fill(failures, [h("p", {}, h("strong", {}, "Episodes failed in evaluations.")), h("ul", {}, broken.slice(-5).map(record => h("li", {}, `step ${integer(record.step)}: ${record.failed} failed${record.failures?.length ? `, ${reason(record.failures[0])}` : ""}`)))]);
    const rows = curves.evaluations.flatMap(record => Object.entries(record.missions ?? {}).map(([mission, value]) => ({ step: record.step, mission, replays: [record.replays ?? []].flat(), ...value })));
    section.hidden = rows.length === 0;
    means = estimates(rows, row => row.mean, row => [row.low, row.high]);
    middles = estimates(rows, row => row.iqm, row => [row.low, row.high]);
    evaluations.update(rows);
  }

  update();
  return { node, curves: update, update: () => {}, close: panel.close };
}

function reason(failure) {
  return typeof failure === "string" ? failure : Object.values(failure).filter(value => typeof value === "string").join(", ");
}
