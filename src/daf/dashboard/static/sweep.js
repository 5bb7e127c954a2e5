// A sweep in progress or finished: history of the objective, objective by hyperparameter, trials, and one trial closely.

import { alertBox, ask, facts, h, status, svg } from "./dom.js";
import { integer, seconds } from "./format.js";
import { number, padded, sameDecimals, short, ticksBetween } from "./scales.js";
import { heldOut, isHeldOut } from "./held_out.js";
import { Table } from "./table.js";
import { trialPanel } from "./trial.js";
import { leaf, tree } from "./tree.js";

const LEFT = 52;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 34;
const LETTER = 7;
const MOST_LETTERS = 14;

export function trialsTab({ key }) {
  const node = h("div", {}, h("p", { class: "muted" }, "Loading trials…"));
  let table = null;
  let top = null;
  const closer = trialPanel(key);
  const texts = new Map();

  async function load() {
    let sweep;
    try {
      sweep = await ask("/api/sweep", { key });
    } catch (error) {
      node.replaceChildren(alertBox("bad", "The trials cannot be read.", h("p", {}, error.message)));
      return;
    }
    if (table === null) {
      table = trialTable(sweep, closer.open, texts);
      top = h("div");
      node.replaceChildren(top, closer.node, h("h2", {}, "Trials"), table.node);
    }
    columnTexts(sweep, texts);
    top.replaceChildren(...overview(sweep));
    table.update(sweep.trials);
  }

  node.addEventListener("click", event => {
    const point = event.target.closest?.("[data-trial]");
    if (point) closer.open(Number(point.dataset.trial));
  });

  load();
  return { node, update: load };
}

function overview(sweep) {
  const complete = sweep.trials.filter(trial => trial.status === "complete" && trial.value !== null);
  const infeasible = sweep.counts.infeasible ?? 0;
  const best = sweep.best;
  const better = sweep.directions[0] === "minimize" ? Math.min : Math.max;
  const found = [];
  const failed = sweep.trials.filter(trial => trial.status === "failed");
  if (failed.length) {
    const reasons = new Map();
    for (const trial of failed) reasons.set(trial.reason ?? "no reason recorded", (reasons.get(trial.reason ?? "no reason recorded") ?? 0) + 1);
    found.push(alertBox("bad", `${sweep.counts.failed} of ${sweep.trial_count} trials failed.`, h("ul", {}, [...reasons].slice(0, 5).map(([reason, count]) => h("li", {}, `${count}×  ${reason}`)))));
  }
  const elsewhere = new Set(sweep.held_out?.trials?.map?.(row => row?.sentence) ?? []);
  const notes = sweep.notes.filter(note => !elsewhere.has(note) && !(failed.length && note.includes("trials failed")));
  if (notes.length) found.push(alertBox("warn", "", h("ul", {}, notes.map(note => h("li", {}, note)))));
  const counts = Object.entries(sweep.counts).filter(([, count]) => count).map(([name, count]) => `${integer(count)} ${name}`).join(", ");
  found.push(facts([
    ["trials", `${counts || "none yet"}${sweep.planned ? `, ${integer(sweep.planned)} planned` : ""}`],
    ["strategy", sweep.strategy],
    ["objective", sweep.objectives.map((name, i) => `${sweep.directions[i]} ${name}`).join(", ")],
    ["best so far", best && `${number(best.value)} in trial ${best.id}`],
    ["best settings", best && Object.entries(best.hyperparameters).map(([name, value]) => `${name} = ${leaf(value)}`).join(", ")],
  ]));
  if (!complete.length) return found;
  let so = null;
  const steps = complete.map(trial => {
    so = so === null ? trial.value : better(so, trial.value);
    return [trial.id, so];
  });
  const objective = sweep.objectives[0];
  found.push(h("h2", {}, "History"), points(complete.map(trial => [trial.id, trial.value, trial]), { across: "trial", up: objective, steps, failed, height: 260, best: best?.id, wide: true }),
    h("p", { class: "muted" }, `Points: complete trials; line: best value so far; circled: best trial${failed.length ? "; crosses: failed trials" : ""}${infeasible ? `; not drawn: ${infeasible} infeasible` : ""}. Click a point or a trial's number for its episodes and replays.`));
  const names = [...new Set(complete.flatMap(trial => Object.keys(trial.hyperparameters)))];
  if (names.length) {
    found.push(h("h2", {}, "Hyperparameters"), h("p", { class: "muted" }, `${objective} of each complete trial by value of one hyperparameter. Patterns are hints, not tests: the other hyperparameters varied as well.`));
    found.push(h("div", { class: "charts" }, names.map(name => {
      const there = complete.filter(trial => name in trial.hyperparameters);
      return points(there.map(trial => [trial.hyperparameters[name], trial.value, trial]), { across: name, up: objective, height: 200, best: best?.id, axis: sweep.axes[name] });
    })));
  }
  if (sweep.objectives.length > 1) {
    const front = new Set(sweep.pareto);
    found.push(h("h2", {}, "Objectives against each other"), points(complete.map(trial => [trial.values[0], trial.values[1], trial]), { across: sweep.objectives[0], up: sweep.objectives[1], height: 280, front, wide: true }));
  }
  if (sweep.held_out) found.push(h("h2", {}, "Held-out episodes"), ...(isHeldOut(sweep.held_out) ? heldOut(sweep.held_out) : [tree(sweep.held_out)]));
  return found;
}

// The numbers of each column of the table as text, by column and trial: they share their decimals.
function columnTexts(sweep, texts) {
  const numbers = (name, values) => texts.set(name, new Map(sameDecimals(values).map((words, i) => [sweep.trials[i].id, words])));
  sweep.objectives.forEach((name, i) => numbers(`objective ${i}`, sweep.trials.map(trial => trial.values[i] ?? null)));
  for (const name of new Set(sweep.trials.flatMap(trial => Object.keys(trial.hyperparameters)))) {
    const values = sweep.trials.map(trial => trial.hyperparameters[name] ?? null);
    const all = values.every(value => value === null || typeof value === "number");
    if (all && !values.every(value => value === null || Number.isInteger(value))) numbers(`setting ${name}`, values);
  }
}

// open: shows a trial closely. texts: of numbers, by column and trial.
function trialTable(sweep, open, texts) {
  const names = [...new Set(sweep.trials.flatMap(trial => Object.keys(trial.hyperparameters)))];
  return new Table([
    { name: "Trial", n: true, value: row => row.id, cell: row => h("button", { type: "button", class: "link", "aria-label": `Episodes and replays of trial ${row.id}`, onclick: () => open(row.id) }, String(row.id)) },
    { name: "Status", value: row => row.status, cell: row => h("span", { title: row.reason }, status(row.status)) },
    ...sweep.objectives.map((name, i) => ({ name, n: true, value: row => row.values[i] ?? null, cell: row => texts.get(`objective ${i}`).get(row.id) })),
    ...names.map(name => ({ name, n: true, value: row => row.hyperparameters[name] ?? null, cell: row => (name in row.hyperparameters ? texts.get(`setting ${name}`)?.get(row.id) ?? leaf(row.hyperparameters[name]) : "") })),
    { name: "Source", value: row => row.source, cell: row => row.source },
    { name: "Duration", n: true, value: row => row.seconds, cell: row => seconds(row.seconds) },
    { name: "Reason", value: row => row.reason ?? "", cell: row => row.reason ?? "" },
  ], { key: row => row.id, sort: "Trial", down: true, label: "Trials", most: 100 });
}

// Points [x, y, trial]. axis: of a hyperparameter, as the server describes it; without one, x is a number on a linear axis.
function points(values, { across, up, steps = null, failed = [], height, best = null, front = null, wide = false, axis = null }) {
  const keys = axis?.values?.map(key);
  const place = x => (keys ? keys.indexOf(key(x)) : axis?.log ? Math.log10(x) : x);
  const drawing = svg("svg", { role: "img", "aria-label": `${up} against ${across}, ${values.length} trials` });
  const node = h("figure", { class: `chart${wide ? " wide" : ""}` }, h("figcaption", {}, h("span", { class: "name", title: across }, wide ? `${up} by ${across}` : across), h("span", { class: "muted" }, axis?.log ? "log scale" : "")), h("div", { class: "plot" }, drawing));
  const draw = () => {
    const width = drawing.clientWidth;
    if (!width) return;
    const xs = [...values.map(([x]) => place(x)), ...failed.map(trial => trial.id)];
    const [x0, x1] = keys ? [-0.5, keys.length - 0.5] : padded(axis ? axis.ends.map(place) : spreadOf(xs));
    const [y0, y1] = padded(spreadOf(values.map(([, y]) => y)));
    const px = x => LEFT + (place(x) - x0) / (x1 - x0) * (width - LEFT - RIGHT);
    const py = y => height - BOTTOM - (y - y0) / (y1 - y0) * (height - TOP - BOTTOM);
    const grid = svg("g", { class: "grid" });
    for (const value of ticksBetween(y0, y1, 4)) {
      grid.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: py(value), y2: py(value) }), svg("text", { x: LEFT - 7, y: py(value) + 4, class: "left" }, short(value)));
    }
    const whole = xs.every(Number.isInteger);
    const ticks = axis?.ticks ?? ticksBetween(x0, x1, Math.max(2, Math.floor(width / 110))).filter(value => !whole || Number.isInteger(value)).map(value => [value, short(value)]);
    let until = -Infinity;
    for (const [value, words] of ticks) {
      const half = Math.min(words.length, MOST_LETTERS) * LETTER / 2;
      if (px(value) - half < until) continue;  // would overlap the previous label
      until = px(value) + half + LETTER;
      grid.append(svg("text", { x: px(value), y: height - 16, class: "below" }, words.length > MOST_LETTERS ? `${words.slice(0, MOST_LETTERS - 1)}…` : words));
    }
    if (wide) grid.append(svg("text", { x: width - RIGHT, y: height - 2, class: "label" }, across));
    const parts = [grid];
    if (steps) {
      const line = steps.map(([x, y], i) => (i ? `H${px(x).toFixed(1)}V${py(y).toFixed(1)}` : `M${px(x).toFixed(1)},${py(y).toFixed(1)}`)).join("");
      parts.push(svg("path", { class: "line s0", d: line }));
    }
    for (const [x, y, trial] of values) {
      const chosen = front ? front.has(trial.id) : trial.id === best;
      parts.push(svg("circle", { class: `dot ${chosen ? "s1 chosen" : "s0"}`, cx: px(x), cy: py(y), r: chosen ? 6 : 3.5, "data-trial": trial.id },
        svg("title", {}, `trial ${trial.id}: ${up} ${number(y)}, ${across} ${leaf(x)}`)));
    }
    for (const trial of failed) {
      const [x, y] = [px(trial.id), height - BOTTOM - 5];
      parts.push(svg("path", { class: "cross", d: `M${x - 4},${y - 4}l8,8m0,-8l-8,8`, "data-trial": trial.id }, svg("title", {}, `trial ${trial.id}: ${trial.reason ?? "failed"}`)));
    }
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("height", height);
    drawing.replaceChildren(...parts);
  };
  new ResizeObserver(draw).observe(drawing);
  return node;
}

function spreadOf(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// How the server names a choice.
function key(value) {
  return value === null ? "None" : value === true ? "True" : value === false ? "False" : String(value);
}
