// The files of a run directory: replays to play, figures and reports to view, and all other files to open.

import { address, breakable, empty, h } from "./dom.js";
import { bytes, when } from "./format.js";
import { Table } from "./table.js";

const LEAST_HEIGHT = 320;
const ROOM = 480;
const EDGE = 12;

export function isLog(file) {
  return /(^|\/)(logs\/.*|[^/]*\.log|std(out|err)(\.[^/]*)?)$/.test(file.path) && ["lines", "text", "other"].includes(file.kind);
}

const of = (page, ...kinds) => page.files.filter(file => kinds.includes(file.kind));

export function replaysTab(context) {
  return viewer(context, { kinds: ["replay"], path: "/replay", label: "Replay", classes: "replay" });
}

export function pagesTab(context) {
  return viewer(context, { kinds: ["page"], path: "/file", label: "Report", classes: "report" });
}

function viewer({ key, page }, { kinds, path, label, classes }) {
  const choose = h("select", { "aria-label": label });
  const away = h("a", { target: "_blank", rel: "noopener" }, "open in a new tab");
  const frame = h("iframe", { class: classes, sandbox: "allow-scripts", title: label });
  const node = h("div", {}, h("div", { class: "controls" }, h("label", {}, `${label} `, choose), away), frame);

  function fill(shown) {
    const names = of(shown, ...kinds).map(file => file.path);
    if (names.join("\n") === [...choose.options].map(option => option.value).join("\n")) return;
    const before = choose.value;
    choose.replaceChildren(...names.map(name => h("option", { value: name }, name)));
    if (names.includes(before)) choose.value = before;
  }

  function show() {
    const where = address(path, { key, file: choose.value });
    frame.src = where;
    away.href = where;
  }

  // A player fits the window: below the head of the run if there is room for it there, else on a separate screen.
  function fit() {
    const top = document.getElementById("top");
    const over = getComputedStyle(top).position === "sticky" ? top.offsetHeight : 0;
    const below = window.innerHeight - (frame.getBoundingClientRect().top + window.scrollY) - EDGE;
    const alone = window.innerHeight - over - node.firstChild.offsetHeight - 2 * EDGE;
    roomy = below >= ROOM;
    frame.style.height = `${Math.max(LEAST_HEIGHT, roomy ? below : alone)}px`;
    node.style.scrollMarginTop = `${over + EDGE / 2}px`;
  }

  let roomy = true;
  const player = path === "/replay";
  if (player) window.addEventListener("resize", fit);
  fill(page);
  const wanted = new URLSearchParams(location.hash.split("?")[1] ?? "").get("file");
  if ([...choose.options].some(option => option.value === wanted)) choose.value = wanted;
  choose.addEventListener("change", show);
  show();
  return {
    node,
    update: fill,
    shown: () => {
      if (!player) return;
      fit();
      if (!roomy) node.scrollIntoView();
    },
    close: () => window.removeEventListener("resize", fit),
  };
}

export function figuresTab({ key, page }) {
  const node = h("div", { class: "gallery" });
  let known = "";
  const draw = shown => {
    const files = of(shown, "image", "video");
    const now = files.map(file => `${file.path} ${file.modified}`).join("\n");
    if (now === known) return;
    known = now;
    node.replaceChildren(...files.map(file => {
      const where = address("/file", { key, file: file.path, v: file.modified });
      const picture = file.kind === "video" ? h("video", { src: where, controls: true, muted: true, loop: true }) : h("a", { href: where, target: "_blank", rel: "noopener" }, h("img", { src: where, alt: file.path, loading: "lazy" }));
      return h("figure", {}, picture, h("figcaption", {}, file.path));
    }));
  };
  draw(page);
  return { node, update: draw };
}

export function filesTab({ key, page }) {
  const table = new Table([
    { name: "File", class: "name", value: row => row.path, cell: row => h("a", { href: address("/file", { key, file: row.path }), target: "_blank", rel: "noopener" }, breakable(row.path)) },
    { name: "Size", n: true, value: row => row.size, cell: row => bytes(row.size) },
    { name: "Modified", n: true, value: row => row.modified, cell: row => when(row.modified) },
  ], { key: row => row.path, sort: "File", label: "Files" });
  const cut = empty();
  const draw = shown => {
    table.update(shown.files);
    cut.hidden = shown.all_files;
    cut.textContent = `Only the first ${shown.files.length} files are listed.`;
  };
  const node = h("div", {}, h("p", { class: "muted path" }, page.path), table.node, cut);
  draw(page);
  return { node, update: draw };
}
