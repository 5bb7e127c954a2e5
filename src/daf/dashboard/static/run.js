// One run: its status and facts, and a tab for each kind of content.

import { alertBox, ask, breakable, copyButton, facts, fill, h, link, status } from "./dom.js";
import { integer, seconds, when } from "./format.js";
import { number } from "./scales.js";
import { store, watch } from "./store.js";
import { Tabs } from "./tabs.js";
import { progress, tags } from "./runs.js";
import { curvesTab } from "./training.js";
import { reportTab } from "./report.js";
import { trialsTab } from "./sweep.js";
import { filesTab, figuresTab, isLog, pagesTab, replaysTab } from "./files.js";
import { logsTab } from "./logs.js";
import { partsTab } from "./parts.js";
import { aboutTab } from "./about.js";
import { Curves } from "./curves.js";

const TABS = {
  results: ["Results", reportTab, page => (page.report && page.kind !== "training" ? null : false)],
  curves: ["Curves", curvesTab, page => (page.curves ? null : false)],
  report: ["Results", reportTab, page => (page.report && page.kind === "training" ? null : false)],
  trials: ["Trials", trialsTab, page => (page.sweep ? null : false)],
  parts: ["Runs", partsTab, page => page.parts.length || false],
  replays: ["Replays", replaysTab, page => many(page, "replay")],
  figures: ["Figures", figuresTab, page => many(page, "image", "video")],
  pages: ["Reports", pagesTab, page => many(page, "page")],
  logs: ["Logs", logsTab, page => page.files.filter(isLog).length || false],
  files: ["Files", filesTab, page => page.files.length],
  about: ["Configuration", aboutTab, () => null],
};

function many(page, ...kinds) {
  return page.files.filter(file => kinds.includes(file.kind)).length || false;
}

export function runView(parts) {
  let tab = parts.at(-1) in TABS ? parts.at(-1) : null;
  const key = (tab ? parts.slice(0, -1) : parts).join("/");
  const curves = new Curves();
  let page = null;
  let inner = null;
  let made = null;
  const head = h("div", { class: "head" });
  const tabs = new Tabs("Contents of the run", name => { location.hash = link("run", key, name).slice(1); });
  const node = h("section", { "aria-label": "Run" }, head, tabs.bar, tabs.panel);
  const view = { node, watch: { keys: [key], log: null }, heard, take, close: () => inner?.close?.() };
  head.append(h("p", { class: "muted" }, "Loading the run…"));

  async function load() {
    try {
      page = await ask("/api/run", { key });
    } catch (error) {
      head.replaceChildren(alertBox("bad", "This run cannot be shown.", h("p", {}, error.message), h("p", {}, h("a", { href: "#/" }, "All runs"))));
      tabs.offer([]);
      tabs.panel.replaceChildren();
      return;
    }
    document.title = `${page.name || page.title || page.run_id} · DAF`;
    header();
    const offered = Object.entries(TABS).map(([name, [shown, , has]]) => [name, shown, has(page)]).filter(([, , count]) => count !== false);
    tabs.offer(offered);
    const wanted = offered.some(([name]) => name === tab) ? tab : usual();
    if (made === wanted && inner) inner.update?.(page);
    else open(wanted);
  }

  function open(name) {
    inner?.close?.();
    made = name;
    inner = TABS[name][1]({ key, page, curves, follow: log => { view.watch.log = log; watch(view.watch.keys, view.watch.log); } });
    tabs.choose(name);
    tabs.panel.replaceChildren(inner.node);
    inner.shown?.();
    const keys = [key, ...(inner.keys ?? [])];
    const log = inner.follows ? view.watch.log : null;
    if (log !== view.watch.log || keys.join() !== view.watch.keys.join()) {
      Object.assign(view.watch, { keys, log });
      watch(keys, log);
    }
  }

  function take(name, parts) {
    const wanted = parts.at(-1) in TABS ? parts.at(-1) : null;
    const other = (wanted ? parts.slice(0, -1) : parts).join("/");
    if (name !== "run" || other !== key || page === null) return false;
    tab = wanted;
    open(tab ?? usual());
    return true;
  }

  // While a run is in progress, what it does now comes before its report.
  function usual() {
    const names = tabs.names.map(([name]) => name);
    return page.status === "running" ? names.find(name => name !== "results") : names[0];
  }

  function header() {
    const row = store.rows.get(key);
    const shown = { status: row?.status ?? page.status, progress: row?.progress ?? page.progress };
    const training = page.training;
    const error = page.error ?? (training?.error ? `${training.error.type}: ${training.error.message}` : null);
    fill(head, [
      h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Runs"), " › ", page.parent ? [h("a", { href: link("run", page.parent.key) }, page.parent.title || page.parent.key), " › "] : null, key),
      h("h1", {}, breakable(page.name || page.title || page.run_id), " ", status(shown.status ?? training?.status)),
      page.name && page.title && h("p", { class: "muted" }, page.title),
      page.tags.length ? h("p", { class: "tags" }, tags(page.tags)) : null,
      page.note && h("p", { class: "note" }, page.note),
      error && alertBox("bad", "The run failed.", h("p", {}, error)),
      page.unread.length ? alertBox("warn", "", h("p", {}, `${page.unread.join(", ")}: damaged, or too large for a page.`)) : null,
      training?.learned?.sentence && h("p", { class: "wide" }, training.learned.sentence),
      shown.progress && h("p", { class: "wide" }, progress(shown)),
      facts([
        ["run", page.run_id],
        ["kind", page.kind],
        ["started", page.started && when(page.started)],
        ["duration", page.seconds === null ? null : seconds(page.seconds)],
        ["policy", training?.policy],
        ["mission", training?.mission],
        ["steps", training && integer(training.steps)],
        ["final return", training?.metrics?.["episode/return"] === undefined ? null : number(training.metrics["episode/return"])],
      ]),
      page.execution.command && h("div", { class: "command" }, h("pre", { tabindex: "0", "aria-label": "Command" }, page.execution.command), copyButton(page.execution.command, "the command")),
    ]);
  }

  function heard(event, data) {
    if (event === "page" && data.key === key) load();
    if (event === "curves" && data.key === key) {
      curves.take(data);
      inner?.curves?.();
      if (page && !page.curves && curves.series.size) load();
    }
    if (event === "curves" && data.key !== key) inner?.part?.(data);
    if (event === "log") inner?.log?.(data);
    if (event === "runs" && page && data.rows.some(row => row.key === key)) header();
  }

  return view;
}
