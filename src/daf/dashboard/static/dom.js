// DOM elements from names and text. Text from runs is inserted as text and never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  return fill(element, children, true);
}

// Replace the children of an element (or append to them); null, undefined, false and "" are skipped.
export function fill(element, children, add = false) {
  const real = [children].flat(Infinity).filter(child => child !== null && child !== undefined && child !== false && child !== "");
  if (add) element.append(...real); else element.replaceChildren(...real);
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...children.flat());
  return element;
}

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

// The text as nodes that break after punctuation where a line is too narrow for it, instead of within a word.
export function breakable(value) {
  return String(value).split(/(?<=[,=/.:+(])/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function link(view, ...parts) {
  return `#/${[view, ...parts.map(part => part.split("/").map(encodeURIComponent).join("/"))].filter(Boolean).join("/")}`;
}

export async function ask(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) query.append(name, one);
  }
  const answer = await fetch(`${path}?${query}`);
  if (!answer.ok) {
    const body = await answer.text();
    let reason = body;
    try { reason = JSON.parse(body).error ?? body; } catch { /* plain text */ }
    throw new Error(reason);
  }
  return answer.json();
}

export function address(path, parameters) {
  return `${path}?${new URLSearchParams(parameters)}`;
}

export function status(value) {
  const shown = value ?? "unknown";
  const kind = { completed: "good", done: "good", ok: "good", complete: "good", failed: "bad", damaged: "bad", interrupted: "warn", stopped: "warn", running: "live" };
  return h("span", { class: `tag ${kind[shown] ?? ""}` }, shown);
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", {}, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function alertBox(kind, title, ...body) {
  return h("div", { class: `alert ${kind}`, role: kind === "bad" ? "alert" : "note" }, title && h("p", {}, h("strong", {}, title)), body);
}

export function empty(...words) {
  return h("p", { class: "empty muted" }, ...words);
}

export function copyButton(value, name) {
  const button = h("button", { type: "button", class: "quiet", title: `Copy ${name}`, onclick: async () => {
    await navigator.clipboard.writeText(value);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  } }, "copy");
  return button;
}
