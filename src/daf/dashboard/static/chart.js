// A line chart in SVG with the colours of the theme; values can be read with the pointer or the keyboard.
//
// A series is {name, slot, x, y, low?, high?, points?}. Of each column of pixels, the first, lowest, highest and last
// value are drawn, so thinning is invisible. Charts of a group share the cursor and the range.

import { h, svg, text } from "./dom.js";
import { smoothed } from "./curves.js";
import { interval } from "./format.js";
import { nearest, number, padded, short, tickLabels, ticksBetween } from "./scales.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 22;
const FEW = 24;
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "1 4", "12 4"];

let count = 0;

export function dash(slot) {
  return DASHES[slot % DASHES.length];
}

export class Group {
  constructor() {
    this.charts = new Set();
    this.range = null;
    this.whole = null;
    this.label = "steps";
    this.heard = null;
  }

  read(at) {
    for (const chart of this.charts) chart.showAt(at);
  }

  zoom(range) {
    this.range = range;
    for (const chart of this.charts) chart.draw();
    this.heard?.(range);
  }
}

export class Chart {
  constructor(title, group, { height = 170, unit = "", scale = null } = {}) {
    this.group = group;
    this.height = height;
    this.unit = unit;
    this.scale = scale;
    this.series = [];
    this.weight = 0;
    this.at = null;
    this.id = `clip${count += 1}`;
    this.now = h("span", { class: "now" });
    this.svg = svg("svg", { role: "img", tabindex: "0", "aria-label": title });
    this.tip = h("div", { class: "tip", hidden: true });
    this.node = h("figure", { class: "chart", "data-name": title },
      h("figcaption", {}, h("span", { class: "name", title }, title), this.now), h("div", { class: "plot" }, this.svg, this.tip));
    this.size = new ResizeObserver(() => this.draw());
    this.seen = new IntersectionObserver(entries => {
      this.visible = entries.at(-1).isIntersecting;
      if (this.visible && this.stale) this.draw();
    }, { rootMargin: "200px" });
    this.size.observe(this.svg);
    this.seen.observe(this.node);
    this.listenToPointer();
    this.listenToKeys();
    group.charts.add(this);
  }

  close() {
    this.size.disconnect();
    this.seen.disconnect();
    this.group.charts.delete(this);
  }

  update(series, weight = this.weight) {
    this.series = series.filter(one => one.x.length > 0);
    this.weight = weight;
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth;
    if (!width) return;
    this.stale = !this.visible;
    if (this.stale) return;
    this.width = width;
    const shown = this.series.map(one => ({ ...one, line: smoothed(one.y, one.points ? 0 : this.weight) }));
    this.shown = shown;
    const [x0, x1] = this.xs = this.group.range ?? this.group.whole ?? spread(shown.map(one => [one.x[0], one.x.at(-1)]));
    const [y0, y1] = this.ys = this.scale ?? this.heights(shown, x0, x1);
    this.px = value => LEFT + (value - x0) / (x1 - x0 || 1) * (width - LEFT - RIGHT);
    this.py = value => this.height - BOTTOM - (value - y0) / (y1 - y0 || 1) * (this.height - TOP - BOTTOM);
    const parts = [...this.axes(x0, x1, y0, y1)];
    const clip = svg("clipPath", { id: this.id }, svg("rect", { x: LEFT - 3, y: TOP - 5, width: width - LEFT - RIGHT + 7, height: this.height - TOP - BOTTOM + 10 }));
    const plot = svg("g", { "clip-path": `url(#${this.id})` });
    for (const one of shown) plot.append(...this.lines(one));
    this.mark = svg("g", { class: "mark" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    this.svg.replaceChildren(clip, ...parts, plot, this.mark);
    this.showLatest();
    if (this.at !== null) this.showAt(this.at);
  }

  heights(shown, x0, x1) {
    let low = Infinity;
    let high = -Infinity;
    for (const one of shown) {
      const lowest = one.low ?? (this.weight > 0 ? one.line : one.y);
      const highest = one.high ?? (this.weight > 0 ? one.line : one.y);
      for (let i = 0; i < one.x.length; i += 1) {
        if (one.x[i] < x0 || one.x[i] > x1) continue;
        if (lowest[i] < low) low = lowest[i];
        if (highest[i] > high) high = highest[i];
      }
    }
    if (low > high) return [0, 1];
    const [below, above] = padded([low, high]);
    return [low >= 0 && below < 0 ? 0 : below, above];
  }

  *axes(x0, x1, y0, y1) {
    const group = svg("g", { class: "grid" });
    const ticks = ticksBetween(y0, y1, 4);
    const labels = tickLabels(ticks);
    ticks.forEach((value, i) => {
      const y = this.py(value);
      group.append(svg("line", { x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y, class: value === 0 ? "zero" : null }));
      group.append(svg("text", { x: LEFT - 7, y: y + 4, class: "left" }, labels[i]));
    });
    const across = ticksBetween(x0, x1, Math.max(3, Math.floor(this.width / 90))).filter(value => value >= x0 && value <= x1);
    across.forEach((value, i) => {
      const last = i === across.length - 1;
      const words = last ? `${short(value)} ${this.group.label}` : short(value);
      const half = words.length * 3.2;
      const x = this.px(value);
      const over = x + half > this.width - 2;
      const next = last ? Infinity : this.px(across[i + 1]) - (i === across.length - 2 ? (this.group.label.length + 8) * 4 : 30);
      if (x + half < next) group.append(svg("text", { x: over ? this.width - 2 : x, y: this.height - 6, class: over ? "label" : "below" }, words));
    });
    yield group;
  }

  *lines(one) {
    if (one.low) {
      const back = one.x.map((x, i) => [x, one.low[i]]).reverse();
      const band = [...one.x.map((x, i) => [x, one.high[i]]), ...back];
      yield svg("path", { class: `band s${one.slot % 10}`, d: `M${band.map(([x, y]) => `${this.px(x).toFixed(1)},${this.py(y).toFixed(1)}`).join("L")}Z` });
    }
    if (one.low && one.x.length <= FEW) {
      const bars = one.x.map((x, i) => `M${this.px(x).toFixed(1)},${this.py(one.low[i]).toFixed(1)}V${this.py(one.high[i]).toFixed(1)}`);
      yield svg("path", { class: `whisker s${one.slot % 10}`, d: bars.join("") });
    }
    if (this.weight > 0 && !one.points) yield svg("path", { class: `raw s${one.slot % 10}`, d: this.path(one.x, one.y) });
    yield svg("path", { class: `line s${one.slot % 10}`, "stroke-dasharray": one.dash ?? "", d: this.path(one.x, one.line) });
    if (one.points || one.x.length <= FEW) {
      for (let i = 0; i < one.x.length; i += 1) {
        yield svg("circle", { class: `dot s${one.slot % 10}`, cx: this.px(one.x[i]), cy: this.py(one.y[i]), r: one.points ? 3 : 2.2 });
      }
    }
  }

  path(x, y) {
    const parts = [];
    const put = i => parts.push(`${this.px(x[i]).toFixed(1)},${this.py(y[i]).toFixed(1)}`);
    if (x.length < 2 * this.width) {
      for (let i = 0; i < x.length; i += 1) put(i);
    } else {
      let i = 0;
      while (i < x.length) {
        const column = Math.floor(this.px(x[i]));
        let lowest = i;
        let highest = i;
        let end = i;
        while (end + 1 < x.length && Math.floor(this.px(x[end + 1])) === column) {
          end += 1;
          if (y[end] < y[lowest]) lowest = end;
          if (y[end] > y[highest]) highest = end;
        }
        for (const at of [...new Set([i, lowest, highest, end])].sort((a, b) => a - b)) put(at);
        i = end + 1;
      }
    }
    return parts.length ? `M${parts.join("L")}` : "";
  }

  showLatest() {
    const values = this.shown.map(one => {
      const value = `${number(one.line.at(-1))}${this.unit}`;
      return this.shown.length === 1 ? value : h("span", { class: `s${one.slot % 10}`, title: one.name }, value);
    });
    this.now.replaceChildren(...values.flatMap((one, i) => i ? [" ", one] : [one]));
  }

  showAt(at) {
    this.at = at;
    if (!this.mark) return;
    if (at === null || !this.shown?.length) {
      this.mark.replaceChildren();
      this.tip.hidden = true;
      return;
    }
    const x = this.px(at);
    const marks = [svg("line", { x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM })];
    const lines = [h("div", { class: "where" }, `${this.group.label} ${number(at, 6)}`)];
    for (const one of this.shown) {
      const i = nearest(one.x, at);
      marks.push(svg("circle", { class: `dot s${one.slot % 10}`, cx: this.px(one.x[i]), cy: this.py(one.line[i]), r: 4 }));
      const bounds = one.low ? ` ${interval([one.low[i], one.high[i]])}` : "";
      const raw = this.weight > 0 && !one.points ? ` (raw ${number(one.y[i])})` : "";
      lines.push(h("div", {}, h("i", { class: `swatch s${one.slot % 10}` }), this.shown.length > 1 ? `${one.name} ` : "", h("b", {}, number(one.line[i])), bounds, raw));
    }
    this.mark.replaceChildren(...marks);
    if (this.own) {
      this.tip.replaceChildren(...lines);
      this.tip.hidden = false;
      const room = this.width - x;
      this.tip.style.left = room > 190 ? `${x + 12}px` : "";
      this.tip.style.right = room > 190 ? "" : `${room + 12}px`;
    } else {
      this.tip.hidden = true;
    }
  }

  // The nearest step that any of the series has.
  snapped(at) {
    const steps = this.shown.map(one => one.x[nearest(one.x, at)]);
    return steps.length ? steps.reduce((best, step) => (Math.abs(step - at) < Math.abs(best - at) ? step : best)) : at;
  }

  listenToPointer() {
    const value = event => {
      const x = event.clientX - this.svg.getBoundingClientRect().left;
      const [x0, x1] = this.xs;
      return Math.min(x1, Math.max(x0, x0 + (x - LEFT) / (this.width - LEFT - RIGHT) * (x1 - x0)));
    };
    let from = null;
    this.svg.addEventListener("pointerdown", event => {
      if (this.xs && event.button === 0) from = value(event);
    });
    this.svg.addEventListener("pointermove", event => {
      if (!this.xs) return;
      this.own = true;
      this.group.read(this.snapped(value(event)));
      if (from !== null && event.buttons === 1) {
        const [a, b] = [this.px(from), this.px(value(event))];
        this.mark.append(svg("rect", { class: "range", x: Math.min(a, b), width: Math.abs(b - a), y: TOP, height: this.height - TOP - BOTTOM }));
      }
    });
    this.svg.addEventListener("pointerup", event => {
      if (from === null) return;
      const to = value(event);
      if (Math.abs(this.px(to) - this.px(from)) > 6) this.group.zoom([Math.min(from, to), Math.max(from, to)]);
      from = null;
    });
    this.svg.addEventListener("pointerleave", () => {
      this.own = false;
      from = null;
      this.group.read(null);
    });
    this.svg.addEventListener("dblclick", () => this.group.zoom(null));
  }

  listenToKeys() {
    this.svg.addEventListener("keydown", event => {
      const one = this.shown?.[0];
      if (!one) return;
      const here = this.at === null ? one.x.length - 1 : nearest(one.x, this.at);
      const far = event.shiftKey ? 10 : 1;
      const to = { ArrowLeft: here - far, ArrowRight: here + far, Home: 0, End: one.x.length - 1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        this.own = true;
        this.group.read(one.x[Math.min(one.x.length - 1, Math.max(0, to))]);
        this.svg.setAttribute("aria-label", `${this.node.dataset.name}: ${this.tip.textContent}`);
      } else if (event.key === "Escape") {
        this.group.read(null);
        this.group.zoom(null);
      }
    });
    this.svg.addEventListener("blur", () => {
      this.own = false;
      this.group.read(null);
    });
  }
}

export function spread(ranges) {
  if (!ranges.length) return [0, 1];
  const low = Math.min(...ranges.map(one => one[0]));
  const high = Math.max(...ranges.map(one => one[1]));
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}
