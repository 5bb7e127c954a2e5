// JSON as it is, folded.

import { h } from "./dom.js";

const OPEN_UP_TO = 12;
const MOST = 200;

export function tree(value, depth = 0) {
  if (value === null || typeof value !== "object") return h("span", { class: "leaf" }, leaf(value));
  const entries = Array.isArray(value) ? value.map((part, i) => [String(i), part]) : Object.entries(value);
  if (entries.length === 0) return h("span", { class: "leaf muted" }, Array.isArray(value) ? "[]" : "{}");
  if (Array.isArray(value) && value.every(part => part === null || typeof part !== "object") && value.length <= 24) return h("span", { class: "leaf" }, value.map(leaf).join(", "));
  const list = h("dl", { class: "tree" });
  for (const [name, part] of entries.slice(0, MOST)) {
    const nested = part !== null && typeof part === "object" && Object.keys(part).length > 0 && !(Array.isArray(part) && part.every(one => one === null || typeof one !== "object") && part.length <= 24);
    if (nested) {
      const details = h("details", {}, h("summary", {}, `${Object.keys(part).length} ${Array.isArray(part) ? "entries" : "settings"}`));
      const fill = () => { if (details.children.length === 1) details.append(tree(part, depth + 1)); };
      details.addEventListener("toggle", fill);
      if (depth === 0 && Object.keys(part).length <= OPEN_UP_TO) {
        details.open = true;
        fill();
      }
      list.append(h("dt", {}, name), h("dd", {}, details));
    } else {
      list.append(h("dt", {}, name), h("dd", {}, tree(part, depth + 1)));
    }
  }
  if (entries.length > MOST) list.append(h("dt", {}, "…"), h("dd", { class: "muted" }, `${entries.length - MOST} more`));
  return list;
}

export function leaf(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "number") return value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(5)));
  return String(value);
}
