// The results of an evaluation or a comparison: failures and notes, ranking, pairwise comparisons, episodes.

import { alertBox, h, link } from "./dom.js";
import { counted, integer, interval, seconds, within } from "./format.js";
import { number } from "./scales.js";
import { experiment, isExperiment } from "./experiment.js";
import { forest } from "./forest.js";
import { Table } from "./table.js";
import { tree } from "./tree.js";

const DECIDED = new Set(["better", "worse", "equal", "identical"]);
const SHOWN = new Set(["run_id", "run_dir", "status", "title", "cache", "report", "settings", "episodes", "episode_count", "summary"]);

export function resultsTab({ key, page }) {
  const node = h("div", {});
  let known = "";
  const draw = shown => {  // redraw only after a change, to keep the sorting and the filter
    const now = JSON.stringify(shown.results);
    if (now !== known) node.replaceChildren(...parts(key, shown.results));
    known = now;
  };
  draw(page);
  return { node, update: draw };
}

function parts(key, results) {
  const found = [];
  const summary = results.summary ?? {};
  const notes = summary.notes ?? [];
  const failed = (results.episodes ?? []).filter(episode => episode.status !== "ok");
  if (failed.length) {
    found.push(alertBox("bad", `${failed.length} of ${integer(results.episode_count)} episodes failed.`, h("ul", {}, failed.slice(0, 5).map(episode =>
      h("li", {}, `${episode.contender ?? ""} on ${episode.mission}, seed ${episode.seed}: ${episode.failure?.kind ?? ""} ${episode.failure?.message ?? ""}`)))));
  }
  if (notes.length) found.push(alertBox("warn", "", h("ul", {}, notes.map(note => h("li", {}, note)))));
  if (summary.episodes !== undefined) {
    found.push(h("p", { class: "muted" }, `${counted(summary.episodes, "episode")}: ${integer(summary.played)} played, ${integer(summary.cached)} from cache, ${integer(summary.failed)} failed; ${seconds(summary.seconds)}`));
  }
  const sentences = [results.sentence, ...(Array.isArray(results.findings) ? results.findings : [])].filter(one => typeof one === "string");
  if (sentences.length) found.push(h("ul", { class: "said" }, sentences.map(one => h("li", {}, one))));
  const ranked = listOf(results.ranking, row => Number.isFinite(row.mean));
  const paired = listOf(results.pairs, row => typeof row.sentence === "string");
  if (ranked) found.push(...ranking(results.ranking, "Reward per agent"));
  if (paired) found.push(...pairs(results.pairs));
  if (isExperiment(results)) found.push(...experiment(key, results));
  const known = { ranking: ranked, pairs: paired, runs: isExperiment(results), sentence: true, findings: sentences.length > 0 };
  const others = Object.entries(results).filter(([name, value]) => !(known[name] ?? SHOWN.has(name)) && value !== null && !(typeof value === "object" && Object.keys(value).length === 0));
  if (others.length) found.push(h("h2", {}, "Other results"), tree(Object.fromEntries(others)));
  if (results.episodes?.length) found.push(...episodes(key, results));
  return found;
}

function listOf(value, fits) {
  return Array.isArray(value) && value.length > 0 && value.every(one => one !== null && typeof one === "object" && fits(one));
}

export function ranking(rows, label) {
  const table = new Table([
    { name: "Rank", n: true, value: row => row.rank, cell: row => String(row.rank ?? "") },
    { name: "Policy", class: "name", value: row => row.policy, cell: row => h("span", {}, row.policy, row.caveat && h("span", { class: "muted id" }, row.caveat)) },
    { name: "Mean", n: true, value: row => row.mean, cell: row => h("strong", {}, within(row.mean, row.ci, rows.map(one => one.mean))) },
    { name: "95 % interval", n: true, value: row => row.ci?.[0], cell: row => interval(row.ci) },
    { name: "IQM", n: true, title: "Interquartile mean: the mean of the middle half", value: row => row.iqm, cell: row => within(row.iqm, row.iqm_ci, rows.map(one => one.iqm)) },
    { name: "n", n: true, title: "Episodes", value: row => row.n, cell: row => integer(row.n) },
  ], { key: row => row.policy, sort: "Rank", label: "Ranking" });
  table.update(rows);
  return [h("h2", {}, "Ranking"), forest(rows.map((row, slot) => ({ name: row.policy, mean: row.mean, ci: row.ci, slot })), label), table.node];
}

export function pairs(all) {
  const several = new Set(all.map(row => row.mission).filter(Boolean)).size > 1;
  const rows = several ? all : all.filter(row => row.mission === null);
  const table = new Table([
    { name: "Verdict", value: row => row.verdict, cell: row => h("span", { class: `tag ${DECIDED.has(row.verdict) ? "good" : ""}` }, DECIDED.has(row.verdict) ? "decided" : row.verdict) },
    { name: "Finding", value: row => row.sentence, cell: row => row.sentence },
    { name: "Mission", value: row => row.mission ?? "", cell: row => row.mission ?? "all" },
    { name: "Difference", n: true, value: row => row.difference, cell: row => within(row.difference, row.ci) },
    { name: "95 % interval", n: true, value: row => row.ci?.[0], cell: row => interval(row.ci) },
    { name: "Adjusted p", n: true, value: row => row.p_adjusted, cell: row => number(row.p_adjusted, 2) },
  ], { key: row => `${row.a}|${row.b}|${row.mission}`, label: "Pairs", most: 60 });
  table.update(rows);
  return [h("h2", {}, "Pairwise comparisons"), h("p", { class: "muted" }, "Paired on identical episodes. p values are adjusted for all comparisons of the run."), table.node];
}

function episodes(key, results) {
  const words = h("input", { type: "search", placeholder: "Filter episodes", "aria-label": "Filter episodes" });
  const mean = row => (row.rewards?.length ? row.rewards.reduce((sum, one) => sum + one, 0) / row.rewards.length : null);
  const table = new Table([
    { name: "Status", value: row => row.status, cell: row => h("span", { class: `tag ${row.status === "ok" ? "good" : "bad"}` }, row.status) },
    { name: "Mission", value: row => row.mission, cell: row => row.mission },
    { name: "Seed", n: true, value: row => row.seed, cell: row => String(row.seed) },
    { name: "Team", class: "name", value: row => row.contender ?? "", cell: row => row.contender ?? (row.policies ?? []).join(", ") },
    { name: "Reward per agent", n: true, value: mean, cell: row => number(mean(row)) },
    { name: "Steps", n: true, value: row => row.steps, cell: row => integer(row.steps) },
    { name: "Replay", fixed: true, value: () => 0, cell: row => (row.replay ? h("a", { href: `${link("run", key, "replays")}?file=${encodeURIComponent(`replays/${row.replay.split("/").at(-1)}`)}` }, "play") : row.failure ? h("span", { class: "error" }, row.failure.message) : "") },
  ], { key: row => row.key, label: "Episodes", most: 100 });
  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    table.update(results.episodes.filter(row => wanted.every(word => `${row.status} ${row.mission} ${row.seed} ${row.contender}`.toLowerCase().includes(word))));
  };
  words.addEventListener("input", show);
  show();
  const cut = results.episode_count > results.episodes.length ? h("p", { class: "muted" }, `${integer(results.episodes.length)} of ${integer(results.episode_count)} shown. daf runs show --sql queries all of them.`) : null;
  return [h("h2", {}, "Episodes"), h("div", { class: "controls" }, words), cut, table.node].filter(Boolean);
}
