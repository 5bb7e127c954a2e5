// The log files of a run: the last lines of one, and new lines as they are written.

import { alertBox, ask, h, text } from "./dom.js";
import { isLog } from "./files.js";

const MOST_LINES = 5000;
const LEVELS = ["debug", "info", "warning", "error", "critical"];

export function logsTab({ key, page, follow }) {
  const names = page.files.filter(isLog).map(file => file.path);
  const file = h("select", { "aria-label": "Log file" }, names.map(name => h("option", { value: name }, name)));
  const words = h("input", { type: "search", placeholder: "Filter lines", "aria-label": "Filter lines" });
  const level = h("select", { "aria-label": "Minimum level" }, [h("option", { value: "0" }, "any level"), ...LEVELS.slice(1).map((name, i) => h("option", { value: String(i + 1) }, `${name} and above`))]);
  const earlier = h("button", { type: "button", class: "quiet", onclick: () => load(start) }, "earlier lines");
  const list = h("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Log lines" });
  const problem = h("div");
  const node = h("div", {}, h("div", { class: "controls" }, file, level, words, earlier), problem, list);
  let start = 0;
  let end = 0;

  async function load(before = null) {
    try {
      const answer = await ask("/api/log", { key, file: file.value, before });
      if (before === null) {
        list.replaceChildren();
        end = answer.end;
      }
      const height = list.scrollHeight;
      list.prepend(...answer.lines.map(line));
      start = answer.start;
      earlier.hidden = start === 0;
      filter();
      list.scrollTop = before === null ? list.scrollHeight : list.scrollTop + list.scrollHeight - height;
      if (before === null) follow({ key, file: file.value, from: () => end });
      problem.replaceChildren();
    } catch (error) {
      problem.replaceChildren(alertBox("bad", "This log cannot be read.", h("p", {}, error.message)));
    }
  }

  function fits(row) {
    return Number(row.dataset.level) >= Number(level.value) && words.value.toLowerCase().split(/\s+/).every(word => row.textContent.toLowerCase().includes(word));
  }

  function filter() {
    for (const row of list.children) row.hidden = !fits(row);
  }

  function log(data) {
    if (data.restart) list.replaceChildren();
    else if (data.end <= end) return;
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
    end = data.end;
    for (const written of data.lines) {
      const row = line(written);
      row.hidden = !fits(row);
      list.append(row);
    }
    while (list.children.length > MOST_LINES) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  node.addEventListener("input", event => { if (event.target === file) load(); else filter(); });
  if (names.length) load(); else text(list, "This run has no logs.");
  return { node, log, follows: true, update: () => {} };
}

function line(written) {
  let value = null;
  if (written.startsWith("{")) try { value = JSON.parse(written); } catch { /* not every log is JSON */ }
  if (value === null || typeof value !== "object") return h("div", { class: "line", "data-level": /error|traceback|exception/i.test(written) ? "3" : "1" }, written);
  const { time, timestamp, level, event, message, logger, ...rest } = value;
  const at = Math.max(0, LEVELS.indexOf(String(level ?? "info").toLowerCase()));
  const when = time ?? timestamp;
  const extra = Object.entries(rest).filter(([name]) => name !== "exception").map(([name, one]) => `${name}=${typeof one === "object" ? JSON.stringify(one) : one}`).join("  ");
  return h("div", { class: "line", "data-level": String(at) },
    when === undefined ? null : h("time", { title: String(when) }, clock(when)), h("b", { class: `level l${at}` }, String(level ?? "")), h("span", {}, String(event ?? message ?? "")), extra && h("span", { class: "muted" }, extra), rest.exception && h("pre", {}, String(rest.exception)), logger && h("span", { class: "logger" }, String(logger)));
}

function clock(value) {
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toLocaleTimeString("en-GB");
}
