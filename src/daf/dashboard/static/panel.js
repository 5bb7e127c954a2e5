// The curves of one run, or of several overlaid: in groups, filtered by name, smoothed, over steps or time.

import { Chart, Group, dash, spread } from "./chart.js";
import { h, svg, text } from "./dom.js";

const FIRST = ["episode/return", "evaluation/mean", "reward/per_step", "episode/length", "loss/explained_variance", "clock/sps"];
const GROUPS = ["main", "evaluation", "episode", "reward", "loss", "gradient", "stats", "curriculum", "schedule", "clock", "system"];
const NAMES = { main: "Overview", evaluation: "Evaluations", episode: "Episodes", reward: "Reward", stats: "Game stats", curriculum: "Curriculum", loss: "Losses", gradient: "Gradients", schedule: "Schedules", clock: "Speed", system: "System" };
const CLOSED = new Set(["schedule", "clock", "system", "stats", "curriculum"]);
const kept = { weight: 0, axis: "step", words: "" };

// runs: [{label, slot, curves}]; with several runs, series of the same name share a chart.
export function curvePanel(runs) {
  const group = new Group();
  const charts = new Map();
  const sections = new Map();
  const weight = h("input", { type: "range", min: "0", max: "0.98", step: "0.02", "aria-label": "Smoothing" });
  weight.value = kept.weight;
  const axis = h("select", { "aria-label": "Horizontal axis" }, h("option", { value: "step" }, "agent steps"), h("option", { value: "time" }, "wall time"));
  axis.value = kept.axis;
  const words = h("input", { type: "search", placeholder: "Filter curves", "aria-label": "Filter curves", value: kept.words });
  const strength = h("output", { class: "muted" });
  const reset = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => group.zoom(null) }, "reset zoom");
  const body = h("div", { class: "groups" });
  const legend = runs.length > 1 ? h("p", { class: "legend" }, runs.map(run => h("span", { class: `s${run.slot % 10}` }, sample(run.slot), h("span", { class: "label" }, run.label)))) : null;
  const node = h("div", { class: "curves" }, h("div", { class: "controls" }, words, h("label", {}, "over ", axis), h("label", {}, "smoothing ", weight, strength), reset), legend, body);
  const waiting = h("p", { class: "empty muted" }, "No updates yet. Curves appear with the first line of metrics.jsonl.");
  body.append(waiting);
  group.heard = range => { reset.hidden = range === null; };

  function all() {
    const names = new Map();
    for (const run of runs) {
      const clock = axis.value === "time" ? run.curves.clock() : null;
      if (axis.value === "time" && clock === null) continue;
      const add = (name, one, points) => {
        if (!names.has(name)) names.set(name, []);
        const x = clock ? one.x.map(clock) : one.x;
        names.get(name).push({ ...one, x, name: run.label, slot: run.slot, dash: runs.length > 1 ? dash(run.slot) : "", points });
      };
      for (const [name, one] of run.curves.evaluated()) add(name, one, true);
      for (const [name, one] of run.curves.series) add(name, one, false);
    }
    return names;
  }

  function section(name) {
    if (!sections.has(name)) {
      const grid = h("div", { class: "charts" });
      const count = h("span", { class: "count" });
      const details = h("details", { class: "group", open: !CLOSED.has(name) }, h("summary", {}, NAMES[name] ?? name, count), grid);
      details.dataset.group = name;
      sections.set(name, { details, grid, count });
      const order = one => { const at = GROUPS.indexOf(one.dataset.group); return at < 0 ? GROUPS.length : at; };
      const next = [...body.querySelectorAll("details.group")].find(other => order(other) > order(details));
      body.insertBefore(details, next ?? null);
    }
    return sections.get(name);
  }

  function chart(place, name) {
    const id = `${place} ${name}`;
    if (!charts.has(id)) {
      const made = new Chart(name, group, { height: place === "main" ? 220 : 160 });
      charts.set(id, made);
      const { grid, details } = section(place);
      const rank = other => (place === "main" ? FIRST.indexOf(other) : 0);
      const next = [...grid.children].find(other => (place === "main" ? rank(other.dataset.name) > rank(name) : other.dataset.name > name));
      grid.insertBefore(made.node, next ?? null);
      details.hidden = false;
    }
    return charts.get(id);
  }

  function update() {
    const names = all();
    waiting.hidden = names.size > 0;
    group.label = axis.value === "time" ? "seconds" : "steps";
    const spans = [...names.values()].flat().filter(one => one.x.length).map(one => [one.x[0], one.x.at(-1)]);
    group.whole = spans.length ? fromZero(spread(spans)) : null;
    for (const [name, series] of names) {
      if (FIRST.includes(name)) chart("main", name).update(series, Number(weight.value));
      const place = name.split("/")[0];
      if (!FIRST.includes(name)) chart(place, name).update(series, Number(weight.value));
    }
    filter();
  }

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { details, grid, count } of sections.values()) {
      let shown = 0;
      for (const figure of grid.children) {
        figure.hidden = !wanted.every(word => figure.dataset.name.toLowerCase().includes(word));
        shown += !figure.hidden;
      }
      details.hidden = shown === 0;
      if (wanted.length && shown) details.open = true;
      text(count, String(shown));
    }
    text(strength, Number(weight.value) ? Number(weight.value).toFixed(2) : "off");
  }

  node.addEventListener("input", event => {
    Object.assign(kept, { weight: Number(weight.value), axis: axis.value, words: words.value });
    if (event.target === axis) group.zoom(null);
    if (event.target === words) filter(); else update();
  });
  update();
  return { node, update, close: () => charts.forEach(one => one.close()) };
}

export function sample(slot) {
  return svg("svg", { class: "sample", viewBox: "0 0 28 10", "aria-hidden": "true" }, svg("path", { d: "M1 5H27", class: "line", "stroke-dasharray": dash(slot) }));
}

// An axis whose values start near 0 starts at 0.
function fromZero([low, high]) {
  return low > 0 && low < 0.1 * high ? [0, high] : [low, high];
}
