// Means with intervals on one axis, one row each.

import { h, svg, text as setText } from "./dom.js";
import { spread } from "./chart.js";
import { estimates } from "./format.js";
import { number, short, ticksBetween } from "./scales.js";

const ROW = 30;

// rows: [{name, mean, ci, slot, n}]; label: what the axis shows.
export function forest(rows, label) {
  const texts = estimates(rows, row => row.mean, row => row.ci);
  const drawing = svg("svg", { class: "forest", role: "img", "aria-label": `${label}: ${rows.map(row => `${row.name} ${number(row.mean)}`).join(", ")}` });
  const node = h("figure", { class: "wide" }, drawing, h("figcaption", { class: "muted" }, `${label}; lines: intervals of the mean.`));
  const draw = () => {
    const width = drawing.clientWidth;
    if (!width) return;
    const left = Math.min(260, width * 0.36);
    const right = 74;
    const height = rows.length * ROW + 30;
    const [low, high] = spread(rows.map(row => row.ci ?? [row.mean, row.mean]));
    const room = (high - low) * 0.05;
    const x = value => left + (value - low + room) / (high - low + 2 * room || 1) * (width - left - right);
    const parts = ticksBetween(low - room, high + room, Math.max(2, Math.floor((width - left - right) / 90))).map(value => svg("g", { class: "grid" },
      svg("line", { x1: x(value), x2: x(value), y1: 4, y2: height - 24, class: value === 0 ? "zero" : null }), svg("text", { x: x(value), y: height - 8, class: "below" }, short(value))));
    rows.forEach((row, i) => {
      const y = i * ROW + ROW / 2 + 4;
      const name = svg("text", { x: left - 12, y: y + 4, class: "left name" });
      setText(name, row.name);
      const mark = svg("g", { class: `s${row.slot % 10}` });
      if (row.ci) mark.append(svg("line", { class: "interval", x1: x(row.ci[0]), x2: x(row.ci[1]), y1: y, y2: y }));
      mark.append(svg("circle", { cx: x(row.mean), cy: y, r: 5.5, class: "mean" }));
      parts.push(name, mark, svg("text", { x: width - right + 12, y: y + 4, class: "value" }, texts.get(row).value));
    });
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("height", height);
    drawing.replaceChildren(...parts);
    for (const name of drawing.querySelectorAll(".name")) shorten(name, left - 16);
  };
  new ResizeObserver(draw).observe(drawing);
  return node;
}

function shorten(element, room) {
  const whole = element.textContent;
  if (element.getComputedTextLength() <= room) return;
  let length = whole.length;
  while (length > 3 && element.getComputedTextLength() > room) {
    length -= 1;
    element.textContent = `${whole.slice(0, length)}…`;
  }
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = whole;
  element.append(title);
}
