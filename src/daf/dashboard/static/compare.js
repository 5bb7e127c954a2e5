// Runs side by side: overlaid curves, evaluations with intervals, and settings that differ.

import { alertBox, ask, empty, fill, h, link, status } from "./dom.js";
import { counted, estimates, integer } from "./format.js";
import { Curves } from "./curves.js";
import { curvePanel, sample } from "./panel.js";
import { forest } from "./forest.js";
import { pairs, ranking } from "./results.js";
import { store } from "./store.js";
import { Table } from "./table.js";
import { leaf } from "./tree.js";

export function compareView(_, query) {
  const keys = [...new Set(query.getAll("run"))];
  if (keys.length < 2) return { node: alertBox("warn", "Select at least two runs to compare.", h("p", {}, h("a", { href: "#/" }, "Select them in the list of runs."))) };
  const runs = keys.map((key, slot) => ({ key, slot, label: label(key, keys), curves: new Curves() }));
  const who = h("ul", { class: "who" });
  const panel = curvePanel(runs);
  const curveSection = h("section", {}, h("h2", {}, "Curves"), panel.node);
  const evaluated = h("section");
  const found = h("section", {}, h("p", { class: "muted" }, "Comparing…"));
  const settings = h("section");
  const node = h("section", { "aria-label": "Comparison" }, h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Runs"), " › comparison"), h("h1", {}, `Comparison of ${runs.length} runs`), who, evaluated, found, settings, curveSection);

  function names() {
    who.replaceChildren(...runs.map(run => {
      const row = store.rows.get(run.key);
      return h("li", { class: `s${run.slot % 10}` }, sample(run.slot), h("a", { href: link("run", run.key) }, row?.title || run.key), " ", h("span", { class: "muted" }, run.label), " ", row ? status(row.status) : null);
    }));
  }

  function evaluations() {
    const last = runs.filter(run => run.curves.evaluations.length).map(run => ({ run, record: run.curves.evaluations.at(-1) }));
    curveSection.hidden = runs.every(run => run.curves.series.size === 0);
    if (!last.length) {
      evaluated.replaceChildren();
      return;
    }
    const missions = [...new Set(last.flatMap(({ record }) => Object.keys(record.missions ?? {})))];
    const rows = missions.flatMap(mission => last.filter(({ record }) => record.missions?.[mission]).map(({ run, record }) => ({ id: `${mission} ${run.key}`, mission, run, step: record.step, ...record.missions[mission] })));
    const means = last.filter(({ record }) => Number.isFinite(record.mean)).map(({ run, record }) => ({ name: run.label, slot: run.slot, mean: record.mean, ci: Number.isFinite(record.low) ? [record.low, record.high] : null }));
    const average = estimates(rows, row => row.mean, row => [row.low, row.high]);
    const middle = estimates(rows, row => row.iqm, row => [row.low, row.high]);
    const table = new Table([
      { name: "Mission", value: row => row.mission, cell: row => row.mission },
      { name: "Run", value: row => row.run.label, cell: row => h("span", {}, h("i", { class: `swatch s${row.run.slot % 10}` }), row.run.label) },
      { name: "At step", n: true, value: row => row.step, cell: row => integer(row.step) },
      { name: "Mean return", n: true, value: row => row.mean, cell: row => h("strong", {}, average.get(row).value) },
      { name: "Interval", n: true, value: row => row.low, cell: row => average.get(row).interval },
      { name: "IQM", n: true, value: row => row.iqm, cell: row => middle.get(row).value },
      { name: "Episodes", n: true, value: row => row.n, cell: row => integer(row.n) },
    ], { key: row => row.id, label: "Last evaluations" });
    table.update(rows);
    fill(evaluated, [h("h2", {}, "Last evaluations"), means.length ? forest(means, "Mean return over the missions") : null, table.node,
      h("p", { class: "muted" }, "Each interval is for one run. To test whether one policy is better than another, run daf compare -p run:ID -p run:ID -m MISSION.")]);
  }

  async function load() {
    let data;
    try {
      data = await ask("/api/compare", { run: keys });
    } catch (error) {
      found.replaceChildren(alertBox("bad", "These runs cannot be compared.", h("p", {}, error.message)));
      return;
    }
    const evaluation = data.evaluation;
    const parts = [];
    if (evaluation.note) parts.push(alertBox("warn", "", h("p", {}, evaluation.note)));
    if (evaluation.blocks) {
      parts.push(h("h2", {}, "Evaluations on the same episodes"), h("p", { class: "muted" }, `${counted(evaluation.blocks, "episode")} (mission, seed, index) in common, on ${evaluation.missions.join(", ")}.`));
      parts.push(...ranking(evaluation.ranking, "Reward per agent"), ...pairs(evaluation.pairs));
    }
    found.replaceChildren(...parts);
    settings.replaceChildren(h("h2", {}, "Settings that differ"), data.config.length ? differences(data.config) : empty("The runs have the same configuration."));
  }

  function differences(rows) {
    const absent = value => value !== null && typeof value === "object" && value.absent === true;
    const table = new Table([
      { name: "Setting", class: "name", value: row => row.name, cell: row => h("code", {}, row.name) },
      ...runs.map((run, i) => ({ name: run.label, class: "name", value: row => (absent(row.values[i]) ? null : leaf(row.values[i])), cell: row => (absent(row.values[i]) ? h("span", { class: "muted" }, "not set") : shownSetting(row.values[i])) })),
    ], { key: row => row.name, label: "Settings that differ" });
    table.update(rows);
    return table.node;
  }

  names();
  return {
    node,
    watch: { keys, log: null },
    heard(event, data) {
      if (event === "runs") names();
      if (event === "page") {
        clearTimeout(this.timer);
        this.timer = setTimeout(load, 200);
      }
      const run = event === "curves" && runs.find(one => one.key === data.key);
      if (run) {
        run.curves.take(data);
        panel.update();
        evaluations();
      }
    },
    close: panel.close,
  };
}

function shownSetting(value) {
  if (Array.isArray(value) && value.every(one => one === null || typeof one !== "object")) return value.map(leaf).join(", ") || "none";
  return value !== null && typeof value === "object" ? JSON.stringify(value) : leaf(value);
}

function label(key, keys) {
  const short = key.split("/").at(-1);
  return keys.filter(other => other.split("/").at(-1) === short).length > 1 ? key : short;
}
