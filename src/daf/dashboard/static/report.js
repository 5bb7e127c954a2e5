// The run's report, made by the server from the run's records, in a frame that can request nothing. The frame reports
// its height and the links that the reader clicks; only files and runs that this run lists are opened.

import { address, alertBox, ask, fill, h, link, text } from "./dom.js";

const LEAST = 160;
const MOST = 400_000;

export function reportTab({ key, page }) {
  const frame = h("iframe", { class: "embedded", sandbox: "allow-scripts", title: "Report", hidden: true });
  const waiting = h("p", { class: "empty muted", role: "status" }, "Making the report…");
  const missing = h("p", { class: "alert warn", role: "status", hidden: true });
  const fresh = h("p", { class: "controls", hidden: true }, h("span", { class: "muted" }, "The run has changed since this report was made."), h("button", { type: "button", onclick: load }, "Update the report"));
  const problem = h("div");
  const node = h("div", {}, fresh, missing, problem, waiting, frame);
  let shown = page;
  let made = "";
  let count = 0;

  async function load() {
    made = state(shown);
    fresh.hidden = true;
    fill(problem, []);
    try {
      await ask("/api/report", { key });
    } catch (error) {
      waiting.hidden = true;
      frame.hidden = true;
      fill(problem, alertBox("bad", "The report cannot be made.", h("p", {}, error.message)));
      return;
    }
    count += 1;
    frame.hidden = false;
    frame.src = address("/report", { key, v: count });
  }

  function heard(event) {
    if (event.source !== frame.contentWindow || event.data?.daf !== "report") return;
    const { height, top, link: target } = event.data;
    if (Number.isFinite(height)) {
      waiting.hidden = true;
      frame.style.height = `${Math.min(MOST, Math.max(LEAST, Math.ceil(height)))}px`;
    }
    if (Number.isFinite(top)) window.scrollTo({ top: window.scrollY + frame.getBoundingClientRect().top + top - bar() });
    if (typeof target === "string") open(target);
  }

  function open(target) {
    const where = destination(key, shown, target);
    missing.hidden = where !== null;
    if (where) location.hash = where.slice(1);
    else {
      text(missing, `${target} is not in this run's directory.`);
      missing.scrollIntoView({ block: "center" });
    }
  }

  window.addEventListener("message", heard);
  load();
  return {
    node,
    update: now => {
      shown = now;
      if (state(now) === made) return;
      if (now.status === "running") fresh.hidden = false; else load();
    },
    close: () => window.removeEventListener("message", heard),
  };
}

// What a report depends on; the files it was made from, whatever their number.
function state(page) {
  return JSON.stringify([page.status, page.files.map(file => [file.path, file.size, file.modified]), page.parts.map(part => [part.key, part.status])]);
}

function bar() {
  const top = document.getElementById("top");
  return getComputedStyle(top).position === "sticky" ? top.offsetHeight + 8 : 8;
}

// The view of what a relative link in a report means: a file of the run, or a run inside it; null for anything else.
export function destination(key, page, target) {
  let path;
  try {
    path = decodeURIComponent(target.split(/[?#]/)[0]).replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  } catch {
    return null;
  }
  const file = page.files.find(one => one.path === path) ?? page.files.find(one => one.kind === "replay" && playerOf(one.path) === path);
  if (file) {
    const tab = { replay: "replays", page: "pages", image: "figures", video: "figures" }[file.kind] ?? "files";
    return `${link("run", key, tab)}?file=${encodeURIComponent(file.path)}`;
  }
  const part = page.parts.find(one => path === one.name || path.startsWith(`${one.name}/`));
  if (!part) return null;
  const rest = path.slice(part.name.length + 1);
  return /\.json\.g?z$/.test(rest) ? `${link("run", part.key, "replays")}?file=${encodeURIComponent(rest)}` : link("run", part.key);
}

// The name that `daf replay html` gives to the page of a replay.
function playerOf(path) {
  return path.replace(/\.json\.g?z$/, ".html");
}
