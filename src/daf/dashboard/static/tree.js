// JSON as a folded tree; lists of similar objects become tables.

import { h } from "./dom.js";

const OPEN_UP_TO = 12;
const MOST = 200;
const MOST_COLUMNS = 10;
const SHORT = 24;

export function tree(value, depth = 0) {
  if (plain(value)) return h("span", { class: "leaf" }, Array.isArray(value) ? value.map(leaf).join(", ") || "[]" : leaf(value));
  const names = columns(value);
  if (names) return h("div", { class: "scroll" }, table(value, names, depth));
  const entries = Object.entries(value);
  if (entries.length === 0) return h("span", { class: "leaf muted" }, "{}");
  const list = h("dl", { class: "tree" });
  for (const [name, part] of entries.slice(0, MOST)) list.append(h("dt", {}, name), h("dd", {}, plain(part) || empty(part) ? tree(part, depth + 1) : folded(part, depth)));
  if (entries.length > MOST) list.append(h("dt", {}, "…"), h("dd", { class: "muted" }, `${entries.length - MOST} more`));
  return list;
}

export function leaf(value) {
  if (value === null || value === undefined) return "none";
  if (Number.isInteger(value)) return String(value).replace("-", "−");  // seeds and ids are shown in full
  if (typeof value === "number") return (value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(5)))).replaceAll("-", "−");
  return String(value);
}

// A value, or a short list of values.
function plain(value) {
  const single = one => one === null || typeof one !== "object";
  return single(value) || (Array.isArray(value) && value.length <= SHORT && value.every(single));
}

function empty(value) {
  return Object.keys(value).length === 0;
}

function folded(part, depth) {
  const count = Object.keys(part).length;
  const [one, many] = Array.isArray(part) ? ["entry", "entries"] : ["setting", "settings"];
  const details = h("details", {}, h("summary", {}, `${count} ${count === 1 ? one : many}`));
  const fill = () => { if (details.children.length === 1) details.append(tree(part, depth + 1)); };
  details.addEventListener("toggle", fill);
  if (depth === 0 && count <= OPEN_UP_TO) {
    details.open = true;
    fill();
  }
  return details;
}

function columns(value) {
  if (!Array.isArray(value) || !value.every(one => one !== null && typeof one === "object" && !Array.isArray(one))) return null;
  const names = [...new Set(value.flatMap(Object.keys))];
  return names.length > 0 && names.length <= MOST_COLUMNS ? names : null;
}

function table(rows, names, depth) {
  const numeric = new Set(names.filter(name => rows.every(row => row[name] === undefined || row[name] === null || typeof row[name] === "number")));
  const cell = (row, name) => (name in row ? (plain(row[name]) ? tree(row[name]) : folded(row[name], depth + 1)) : null);
  return h("table", { class: "like" }, h("thead", {}, h("tr", {}, names.map(name => h("th", { scope: "col", class: numeric.has(name) ? "n" : null }, name)))),
    h("tbody", {}, rows.slice(0, MOST).map(row => h("tr", {}, names.map(name => h("td", { class: numeric.has(name) ? "n" : null }, cell(row, name)))))),
    rows.length > MOST ? h("caption", {}, `${rows.length - MOST} more`) : null);
}
