// The load of the machine over the last half hour, and the share of each run.

import { Chart, Group } from "./chart.js";
import { empty, facts, h, link } from "./dom.js";
import { megabytes } from "./format.js";
import { number } from "./scales.js";
import { store } from "./store.js";
import { Table } from "./table.js";

export function machineView() {
  const group = new Group();
  group.label = "seconds";
  const cpu = new Chart("CPU, % of all cores", group, { height: 200, unit: " %", scale: [0, 100] });
  const memory = new Chart("Memory, %", group, { height: 200, unit: " %", scale: [0, 100] });
  const gpus = new Map();
  const charts = h("div", { class: "charts" }, cpu.node, memory.node);
  const about = h("div");
  const table = new Table([
    { name: "Run", class: "name", value: row => row.key, cell: row => h("a", { href: link("run", row.key) }, store.rows.get(row.key)?.title || row.key) },
    { name: "CPU", n: true, title: "Percent of one core", value: row => row.cpu, cell: row => (row.cpu === null ? "–" : `${number(row.cpu, 3)} %`) },
    { name: "Memory", n: true, value: row => row.memory_mb, cell: row => megabytes(row.memory_mb) },
    { name: "Processes", n: true, value: row => row.processes, cell: row => String(row.processes) },
  ], { key: row => row.key, sort: "CPU", down: true, label: "Runs in progress" });
  const none = empty("No run of this directory is in progress on this machine.");
  const node = h("section", { "aria-label": "Machine" }, h("h1", {}, "Machine"), about, charts, h("h2", {}, "Runs in progress"), table.node, none);

  function update() {
    const samples = store.samples;
    const last = samples.at(-1);
    if (!last) return;
    const x = samples.map(sample => sample.time - last.time);
    cpu.update([{ name: "CPU", slot: 0, x, y: samples.map(sample => Math.round(sample.cpu)) }]);
    memory.update([{ name: "memory", slot: 1, x, y: samples.map(sample => Math.round(sample.memory)) }]);
    for (const gpu of last.gpus) {
      if (!gpus.has(gpu.index)) {
        gpus.set(gpu.index, new Chart(`GPU ${gpu.index}, % (${gpu.name})`, group, { height: 200, unit: " %", scale: [0, 100] }));
        charts.append(gpus.get(gpu.index).node);
      }
      const at = samples.map((sample, i) => [x[i], sample.gpus.find(one => one.index === gpu.index)]).filter(([, one]) => one && one.used !== null);
      const share = one => 100 * one.memory_mb / one.total_mb;
      gpus.get(gpu.index).update([{ name: "load", slot: 0, x: at.map(([time]) => time), y: at.map(([, one]) => one.used) }, { name: "memory", slot: 1, x: at.map(([time]) => time), y: at.map(([, one]) => share(one)) }]);
    }
    about.replaceChildren(facts([
      ["host", store.facts?.host], ["system", store.facts?.platform], ["cores", `${store.facts?.cores}, load ${number(last.load, 3)}`],
      ["memory", `${megabytes(last.memory_mb)} of ${megabytes(store.facts?.memory_mb)} used`], ["disk", `${megabytes(last.disk_free_mb)} free at ${store.base}`],
      ...last.gpus.map(gpu => [`GPU ${gpu.index}`, `${gpu.name}, ${megabytes(gpu.memory_mb)} of ${megabytes(gpu.total_mb)}${gpu.celsius === null ? "" : `, ${gpu.celsius} °C`}`]),
    ]));
    table.update(last.runs);
    table.node.hidden = last.runs.length === 0;
    none.hidden = last.runs.length > 0;
  }

  update();
  return { node, heard: event => { if (event === "machine" || event === "hello") update(); }, close: () => [cpu, memory, ...gpus.values()].forEach(one => one.close()) };
}
