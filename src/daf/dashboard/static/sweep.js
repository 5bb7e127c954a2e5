// A sweep in progress or finished: history of the objective, objective by hyperparameter, trials, and one trial closely.

import { alertBox, ask, facts, h, status, svg } from "./dom.js";
import { spread } from "./chart.js";
import { integer, seconds } from "./format.js";
import { number, short, ticksBetween } from "./scales.js";
import { heldOut, isHeldOut } from "./held_out.js";
import { Table } from "./table.js";
import { trialPanel } from "./trial.js";
import { leaf, tree } from "./tree.js";

const LEFT = 52;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 34;
const LETTER = 7;
const FEW = 6;

export function trialsTab({ key }) {
  const node = h("div", {}, h("p", { class: "muted" }, "Loading trials…"));
  let table = null;
  let top = null;
  const closer = trialPanel(key);

  async function load() {
    let sweep;
    try {
      sweep = await ask("/api/sweep", { key });
    } catch (error) {
      node.replaceChildren(alertBox("bad", "The trials cannot be read.", h("p", {}, error.message)));
      return;
    }
    if (table === null) {
      table = trialTable(sweep, closer.open);
      top = h("div");
      node.replaceChildren(top, closer.node, h("h2", {}, "Trials"), table.node);
    }
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
  const best = sweep.best;
  const better = sweep.directions[0] === "minimize" ? Math.min : Math.max;
  const found = [];
  const failed = sweep.trials.filter(trial => trial.status === "failed");
  if (failed.length) {
    const reasons = new Map();
    for (const trial of failed) reasons.set(trial.reason ?? "no reason recorded", (reasons.get(trial.reason ?? "no reason recorded") ?? 0) + 1);
    found.push(alertBox("bad", `${sweep.counts.failed} of ${sweep.trial_count} trials failed.`, h("ul", {}, [...reasons].slice(0, 5).map(([reason, count]) => h("li", {}, `${count}×  ${reason}`)))));
  }
  const notes = sweep.notes.filter(note => !(failed.length && note.includes("trials failed")));  // shown above
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
    h("p", { class: "muted" }, `Points: complete trials; line: best value so far; circled: best trial${failed.length ? "; crosses: failed trials" : ""}. Click a point or a trial's number for its episodes and replays.`));
  const names = [...new Set(complete.flatMap(trial => Object.keys(trial.hyperparameters)))];
  if (names.length) {
    found.push(h("h2", {}, "Hyperparameters"), h("p", { class: "muted" }, `${objective} of each complete trial by value of one hyperparameter. Patterns are hints, not tests: the other hyperparameters varied as well.`));
    found.push(h("div", { class: "charts" }, names.map(name => {
      const there = complete.filter(trial => name in trial.hyperparameters);
      return points(there.map(trial => [trial.hyperparameters[name], trial.value, trial]), { across: name, up: objective, height: 200, best: best?.id, log: sweep.log[name] ?? null });
    })));
  }
  if (sweep.objectives.length > 1) {
    const front = new Set(sweep.pareto);
    found.push(h("h2", {}, "Objectives against each other"), points(complete.map(trial => [trial.values[0], trial.values[1], trial]), { across: sweep.objectives[0], up: sweep.objectives[1], height: 280, front, wide: true }));
  }
  if (sweep.held_out) found.push(h("h2", {}, "Held-out episodes"), ...(isHeldOut(sweep.held_out) ? heldOut(sweep.held_out) : [tree(sweep.held_out)]));
  return found;
}

// open: shows a trial closely.
function trialTable(sweep, open) {
  const names = [...new Set(sweep.trials.flatMap(trial => Object.keys(trial.hyperparameters)))];
  return new Table([
    { name: "Trial", n: true, value: row => row.id, cell: row => h("button", { type: "button", class: "link", "aria-label": `Episodes and replays of trial ${row.id}`, onclick: () => open(row.id) }, String(row.id)) },
    { name: "Status", value: row => row.status, cell: row => h("span", { title: row.reason }, status(row.status)) },
    ...sweep.objectives.map((name, i) => ({ name, n: true, value: row => row.values[i] ?? null, cell: row => number(row.values[i]) })),
    ...names.map(name => ({ name, n: true, value: row => row.hyperparameters[name] ?? null, cell: row => (name in row.hyperparameters ? leaf(row.hyperparameters[name]) : "") })),
    { name: "Source", value: row => row.source, cell: row => row.source },
    { name: "Duration", n: true, value: row => row.seconds, cell: row => seconds(row.seconds) },
    { name: "Reason", value: row => row.reason ?? "", cell: row => row.reason ?? "" },
  ], { key: row => row.id, sort: "Trial", down: true, label: "Trials", most: 100 });
}

// Points [x, y, trial]; x may be words. log: whether x was searched on a logarithmic scale; if unknown, the range of x
// decides. The caption names a logarithmic scale.
function points(values, { across, up, steps = null, failed = [], height, best = null, front = null, wide = false, log = null }) {
  const words = values.some(([x]) => typeof x !== "number") ? [...new Set(values.map(([x]) => String(x)))].sort() : null;
  const numbers = words ? [] : values.map(([x]) => x);
  const decades = !words && !steps && numbers.every(x => x > 0) && (log ?? Math.max(...numbers) / Math.min(...numbers) >= 30);
  const place = x => (words ? words.indexOf(String(x)) : decades ? Math.log10(x) : x);
  const drawing = svg("svg", { role: "img", "aria-label": `${up} against ${across}, ${values.length} trials` });
  const node = h("figure", { class: `chart${wide ? " wide" : ""}` }, h("figcaption", {}, h("span", { class: "name", title: across }, wide ? `${up} by ${across}` : across), h("span", { class: "muted" }, decades ? "log scale" : "")), h("div", { class: "plot" }, drawing));
  const draw = () => {
    const width = drawing.clientWidth;
    if (!width) return;
    const [x0, x1] = pad(spread(words ? [[0, words.length - 1]] : [spreadOf([...values.map(([x]) => place(x)), ...failed.map(trial => trial.id)])]), words ? 0.5 : null);
    const [y0, y1] = pad(spread([spreadOf(values.map(([, y]) => y))]));
    const px = x => LEFT + (place(x) - x0) / (x1 - x0) * (width - LEFT - RIGHT);
    const py = y => height - BOTTOM - (y - y0) / (y1 - y0) * (height - TOP - BOTTOM);
    const grid = svg("g", { class: "grid" });
    for (const value of ticksBetween(y0, y1, 4)) {
      grid.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: py(value), y2: py(value) }), svg("text", { x: LEFT - 7, y: py(value) + 4, class: "left" }, short(value)));
    }
    const round = () => (decades ? tens(x0, x1) : ticksBetween(x0, x1, Math.max(2, Math.floor(width / 110))).filter(value => !numbers.every(Number.isInteger) || Number.isInteger(value)));
    const label = value => (words ? String(value).slice(0, 14) : Number.isInteger(value) && Math.abs(value) < 1e6 ? leaf(value) : short(value));
    let until = -Infinity;
    for (const value of words ?? choices(numbers) ?? round()) {
      const half = label(value).length * LETTER / 2;
      if (px(value) - half < until) continue;  // would overlap the previous label
      until = px(value) + half + LETTER;
      grid.append(svg("text", { x: px(value), y: height - 16, class: "below" }, label(value)));
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

function pad([low, high], by = null) {
  const same = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const room = by ?? (same ? Math.abs(high) * 0.1 || 0.5 : (high - low) * 0.06);
  return [low - room, high + room];
}

// The distinct values, if they are few integers that were tried repeatedly: the axis shows these instead of round numbers.
function choices(numbers) {
  const different = [...new Set(numbers)].sort((a, b) => a - b);
  return different.every(Number.isInteger) && different.length <= FEW && numbers.length > different.length ? different : null;
}

// Powers of ten between 10^low and 10^high; with fewer than two, also round numbers between them.
function tens(low, high) {
  for (const factors of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const found = [];
    for (let power = Math.floor(low); power <= high; power += 1) found.push(...factors.map(factor => Number(`${factor}e${power}`)));
    const inside = found.filter(value => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
    if (inside.length > 1) return inside;
  }
  return [10 ** low, 10 ** high];
}
