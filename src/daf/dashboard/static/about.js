// The configuration of the run, and the environment it ran in.

import { facts, fill, h } from "./dom.js";
import { tree } from "./tree.js";

export function aboutTab({ page }) {
  const node = h("div");
  let known = "";
  const draw = shown => {
    const now = JSON.stringify([shown.config, shown.execution, shown.training]);
    if (now === known) return;  // keeps what the reader unfolded
    known = now;
    const execution = shown.execution;
    fill(node, [
      h("h2", {}, "Configuration"), tree(shown.config ?? {}),
      shown.training?.hyperparameters ? h("h2", {}, "Hyperparameters") : "", shown.training?.hyperparameters ? tree(shown.training.hyperparameters) : "",
      h("h2", {}, "Environment"),
      facts([["host", execution.host], ["process", execution.pid && String(execution.pid)], ["platform", execution.platform], ["directory", execution.working_directory], ["commit", execution.git_commit], ...Object.entries(execution.versions ?? {})]),
      h("h2", {}, "Details"), tree(execution.details ?? {}),
      execution.previous?.length ? h("h2", {}, "Earlier attempts") : "", execution.previous?.length ? tree(execution.previous) : "",
    ]);
  };
  draw(page);
  return { node, update: draw };
}
