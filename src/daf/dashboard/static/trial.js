// One trial of a sweep: its settings, the value of every episode, and its replays.

import { alertBox, ask, breakable, copyButton, facts, fill, h, link, status } from "./dom.js";
import { estimates, integer } from "./format.js";
import { number } from "./scales.js";
import { Table } from "./table.js";
import { leaf } from "./tree.js";

export function trialPanel(key) {
  const node = h("section", { class: "trial", "aria-label": "Trial", tabindex: "-1", hidden: true });
  const close = h("button", { type: "button", class: "quiet", onclick: () => { node.hidden = true; } }, "close");

  async function open(id) {
    let trial;
    try {
      trial = await ask("/api/trial", { key, trial: id });
    } catch (error) {
      fill(node, [close, alertBox("bad", "This trial cannot be shown.", h("p", {}, error.message))]);
      node.hidden = false;
      return;
    }
    const play = (run, file) => `${link("run", run, "replays")}?file=${encodeURIComponent(file)}`;
    fill(node, [
      h("div", { class: "controls" }, h("h2", {}, `Trial ${trial.id} `, status(trial.status)), close),
      trial.reason && alertBox("warn", "", h("p", {}, trial.reason)),
      facts([
        ...trial.objectives.map((name, i) => [name, number(trial.values[i])]),
        ...Object.entries(trial.hyperparameters).map(([name, value]) => [name, leaf(value)]),
        ["source", trial.source], ["policy", trial.policy], ["steps", trial.steps === null ? null : integer(trial.steps)],
      ]),
      trial.run ? h("p", {}, h("a", { href: link("run", trial.run) }, "Curves, evaluations and files of this trial")) : null,
      trial.replays.length ? h("p", {}, "Replays of evaluations in training: ", trial.replays.flatMap((file, i) => [i ? ", " : null, h("a", { href: play(trial.run, file) }, breakable(file.replace(/^replays\//, "")))])) : null,
      ...episodes(trial, file => play(key, file)),
      trial.command && h("p", { class: "muted" }, "To play and record every episode of this trial (results come from the cache):"),
      trial.command && h("div", { class: "command" }, h("pre", { tabindex: "0", "aria-label": "Command of the trial" }, trial.command), copyButton(trial.command, "the command")),
    ]);
    node.hidden = false;
    node.scrollIntoView({ block: "nearest" });
    node.focus({ preventScroll: true });
  }

  return { node, open };
}

// The values of the first objective, one row per mission and episode.
function episodes(trial, play) {
  const rows = trial.episodes;
  if (!rows.length) return [h("p", { class: "muted" }, "The sweep recorded no single episodes of this trial.")];
  const texts = estimates(rows, row => row.value, () => null);
  const table = new Table([
    { name: "Mission", class: "name", value: row => row.mission, cell: row => row.mission },
    { name: "Episode", n: true, value: row => row.index, cell: row => String(row.index) },
    ...(rows.some(row => row.seed !== null) ? [{ name: "Seed", n: true, value: row => row.seed, cell: row => (row.seed === null ? "" : String(row.seed)) }] : []),
    { name: trial.objectives[0], n: true, value: row => row.value, cell: row => texts.get(row).value },
    ...(rows.some(row => row.replay) ? [{ name: "Replay", fixed: true, value: () => 0, cell: row => (row.replay ? h("a", { href: play(row.replay) }, "play") : "–") }] : []),
  ], { key: row => `${row.mission} ${row.index}`, label: `Episodes of trial ${trial.id}`, most: 50 });
  table.update(rows);
  return [table.node];
}
