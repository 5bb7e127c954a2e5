// Chooses the view to show, and updates the bar above it. A view is {node, watch: {keys, log}, heard(event, data), close()}.

import { alertBox, fill, h, set, text } from "./dom.js";
import { megabytes } from "./format.js";
import { number } from "./scales.js";
import { listen, store, watch } from "./store.js";
import { runsView } from "./runs.js";
import { runView } from "./run.js";
import { compareView } from "./compare.js";
import { machineView } from "./machine.js";

const VIEWS = { runs: runsView, run: runView, compare: compareView, machine: machineView };
const place = document.getElementById("view");
let shown = null;
let address = null;

if (location.search) history.replaceState(null, "", location.pathname + location.hash);

function parse() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/").map(decodeURIComponent);
  return { name: name || "runs", parts, query: new URLSearchParams(query) };
}

function show() {
  const { name, parts, query } = parse();
  const moved = address !== null && address !== location.hash;
  address = location.hash;
  if (shown !== null && shown.take?.(name, parts, query)) return;
  shown?.close?.();
  const make = VIEWS[name];
  try {
    shown = make ? make(parts, query) : { node: alertBox("bad", "This page does not exist.", h("p", {}, h("a", { href: "#/" }, "All runs"))) };
  } catch (error) {
    shown = { node: alertBox("bad", "This view cannot be shown.", h("p", {}, error.message)) };
  }
  document.title = "DAF dashboard";
  place.replaceChildren(shown.node);
  for (const link of document.querySelectorAll("#top nav a")) set(link, { "aria-current": link.dataset.view === name ? "page" : null });
  if (moved) place.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  watch(shown.watch?.keys ?? [], shown.watch?.log ?? null);
}

const live = document.getElementById("live");
const WORDS = { waiting: "connecting", live: "live", lost: "connection lost", refused: "dashboard restarted: open the new address that it printed" };

listen((event, data) => {
  live.dataset.state = store.state;
  text(live, WORDS[store.state]);
  if (event === "hello") {
    fill(document.getElementById("base"), h("bdi", { dir: "ltr", title: data.base }, data.base));
  }
  if (event === "machine") meters();
  shown?.heard?.(event, data);
});

function meters() {
  const last = store.samples.at(-1);
  if (!last) return;
  const gpus = last.gpus.filter(gpu => gpu.used !== null).map(gpu => meter(`GPU ${gpu.index}`, gpu.used, `${gpu.name}, ${megabytes(gpu.memory_mb)} of ${megabytes(gpu.total_mb)}`));
  document.getElementById("meters").replaceChildren(
    meter("CPU", last.cpu, `${number(last.cpu, 3)} % of all cores`),
    meter("memory", last.memory, `${megabytes(last.memory_mb)} used`), ...gpus);
}

function meter(name, percent, title) {
  const bar = h("i", { class: "bar" }, h("b"));
  bar.firstChild.style.width = `${Math.min(100, percent)}%`;
  return h("span", { class: "meter", title }, h("span", {}, name), bar, h("span", { class: "value" }, `${Math.round(percent)} %`));
}

window.addEventListener("hashchange", () => { if (location.hash !== address) show(); });
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();
  place.focus();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    const search = place.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});
show();
