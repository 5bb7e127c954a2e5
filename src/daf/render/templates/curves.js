// Values over steps: the pointer or the arrow keys read them, dragging zooms, the legend hides series. Figures of one
// group share the step that is read, the zoom, and the series of one name.
{
  const SVG = "http://www.w3.org/2000/svg";
  const MOST_READ = 12;
  const made = (name, attributes, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const figures = [...document.querySelectorAll("svg[data-curve]")].map(svg => {
    const { axes, series, log = false } = JSON.parse(svg.dataset.curve);
    const figure = svg.closest("figure"), scale = svg.querySelector(".scale");
    const one = { svg, axes, series, log, figure, scale, group: figure.closest(".linked") ?? figure, pointer: svg.querySelector(".pointer"),
      output: figure.querySelector("output"), hidden: new Set(), view: axes.map(axis => axis.slice(0, 2)), whole: [...scale.childNodes],
      steps: [...new Set(series.flatMap(each => each.x))].sort((a, b) => a - b) };
    one.reset = Object.assign(document.createElement("button"), { type: "button", className: "reset", textContent: "Reset zoom", hidden: true });
    one.reset.addEventListener("click", () => zoom(one, null));
    one.output.before(one.reset);
    return one;
  });
  const together = one => figures.filter(other => other.group === one.group);
  const place = (one, which, value) => {
    const [low, high] = one.view[which], [, , from, to] = one.axes[which];
    return from + (Math.min(Math.max(value, low), high) - low) / (high - low) * (to - from);
  };
  const clear = one => { one.pointer.replaceChildren(); one.output.value = ""; };

  function read(one, x) {
    const marks = [], lines = [];
    one.series.forEach((series, position) => {
      if (one.hidden.has(position)) return;
      const i = nearest(series.x, x);
      const style = one.svg.querySelector(`[data-series="${position}"]`).getAttribute("class");
      marks.push(made("g", { class: style }, made("circle", { cx: place(one, 0, series.x[i]), cy: place(one, 1, series.y[i]), r: 3.6 })));
      let text = number(series.y[i]);
      if (series.low) text += ` [${number(series.low[i])}, ${number(series.high[i])}]`;
      if (series.notes) text += ` ${series.notes[i]}`;
      lines.push(one.series.length > 1 ? `${series.label}: ${text}` : text);
    });
    const step = one.steps[nearest(one.steps, x)];
    const [, , bottom, top] = one.axes[1], across = place(one, 0, step);
    one.pointer.replaceChildren(made("path", { d: `M${across.toFixed(1)} ${bottom}V${top}` }), ...marks);
    const shown = lines.slice(0, MOST_READ);
    if (lines.length > MOST_READ) shown.push(`… and ${lines.length - MOST_READ} more`);
    one.output.value = shown.length ? `at ${number(one.log ? 10 ** step : step, one.log ? 4 : 6)}${shown.length > 1 ? "\n" : " – "}${shown.join("\n")}` : "";
    one.output.classList.toggle("left", across > one.svg.viewBox.baseVal.width / 2);
    return step;
  }
  function readAll(one, x) {
    const step = read(one, x);
    for (const other of together(one)) if (other !== one) read(other, step);
    return step;
  }

  function zoom(one, range) {
    for (const other of together(one)) {
      const [x, y] = other.axes;
      other.view = range ? [range, heights(other, range)] : [x.slice(0, 2), y.slice(0, 2)];
      const [sx, sy] = [0, 1].map(k => (other.axes[k][1] - other.axes[k][0]) / (other.view[k][1] - other.view[k][0]));
      const [tx, ty] = [[sx, 0], [sy, 1]].map(([s, k]) => {
        const [low, high] = other.view[k], [from0, , from, to] = other.axes[k];
        return from - s * from + (from0 - low) / (high - low) * (to - from);
      });
      for (const drawn of other.svg.querySelector(".area").children) {
        if (range) drawn.setAttribute("transform", `matrix(${sx} 0 0 ${sy} ${tx} ${ty})`); else drawn.removeAttribute("transform");
        for (const mark of drawn.querySelectorAll(".mean > *")) unscaled(mark, range ? sx : 1, range ? sy : 1);
      }
      other.svg.classList.toggle("zoomed", range !== null);
      other.reset.hidden = range === null;
      if (range) other.scale.replaceChildren(...ticked(other)); else other.scale.replaceChildren(...other.whole);
      clear(other);
    }
  }
  // A marker keeps its size and shape when the lines around it are stretched.
  function unscaled(mark, sx, sy) {
    mark.dataset.before ??= mark.getAttribute("transform") ?? "";
    const box = mark.getBBox(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    const back = sx === 1 && sy === 1 ? "" : `translate(${x} ${y}) scale(${1 / sx} ${1 / sy}) translate(${-x} ${-y}) `;
    mark.setAttribute("transform", back + mark.dataset.before);
  }
  function heights(one, [from, to]) {
    let low = Infinity, high = -Infinity;
    one.series.forEach((series, position) => {
      if (one.hidden.has(position)) return;
      series.x.forEach((x, i) => {
        if (x < from || x > to) return;
        low = Math.min(low, series.y[i], series.low?.[i] ?? Infinity);
        high = Math.max(high, series.y[i], series.high?.[i] ?? -Infinity);
      });
    });
    const [least, most] = one.axes[1];
    if (low > high) return [least, most];
    const room = (high - low) * 0.06 || (most - least) * 0.05;
    return [Math.max(least, low - room), Math.min(most, high + room)];
  }
  function ticked(one) {
    const [[, , left, right], [, , bottom, top]] = one.axes;
    const grid = made("g", { class: "grid" }, made("path", { class: "base", d: `M${left} ${bottom}H${right}` }));
    const upLabels = made("g", { class: "ticks", "text-anchor": "end" }), acrossLabels = made("g", { class: "ticks", "text-anchor": "middle" });
    const up = ticksBetween(...one.view[1], bottom - top > 200 ? 8 : 5), most = right - left > 600 ? 9 : 5;
    const round = one.log ? logTicks(...one.view[0].map(end => 10 ** end), most) : ticksBetween(...one.view[0], most);
    const across = one.log ? round.map(Math.log10) : round, texts = one.log ? round.map(value => short(value)) : tickLabels(round);
    tickLabels(up).forEach((text, i) => {
      const y = place(one, 1, up[i]);
      grid.append(made("path", { class: up[i] === 0 ? "zero" : "", d: `M${left} ${y}H${right}` }));
      upLabels.append(made("text", { x: left - 7, y: y + 4 }, text));
    });
    texts.forEach((text, i) => acrossLabels.append(made("text", { x: place(one, 0, across[i]), y: bottom + 16 }, text)));
    return [grid, upLabels, acrossLabels];
  }

  for (const one of figures) {
    let from = null;
    const pixel = event => {
      const box = one.svg.getBoundingClientRect(), [, , left, right] = one.axes[0];
      return Math.min(right, Math.max(left, (event.clientX - box.left) / box.width * one.svg.viewBox.baseVal.width));
    };
    const value = at => {
      const [low, high] = one.view[0], [, , left, right] = one.axes[0];
      return low + (at - left) / (right - left) * (high - low);
    };
    const move = event => {
      one.step = readAll(one, value(pixel(event)));
      if (from === null || event.buttons !== 1) return;
      const to = pixel(event), [, , bottom, top] = one.axes[1];
      one.pointer.append(made("rect", { class: "range", x: Math.min(from, to), width: Math.abs(to - from), y: top, height: bottom - top }));
    };
    const leave = () => { from = null; together(one).forEach(clear); };
    one.svg.addEventListener("pointermove", move);
    one.svg.addEventListener("pointerdown", event => { if (event.button === 0 && event.pointerType === "mouse") from = pixel(event); move(event); });
    one.svg.addEventListener("pointerup", event => {
      const to = pixel(event);
      if (from !== null && Math.abs(to - from) > 6) zoom(one, [value(Math.min(from, to)), value(Math.max(from, to))]);
      from = null;
    });
    one.svg.addEventListener("dblclick", () => zoom(one, null));
    one.svg.addEventListener("pointerleave", leave);
    one.svg.addEventListener("blur", leave);
    one.svg.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (by !== undefined) {
        event.preventDefault();
        const inside = one.steps.filter(step => step >= one.view[0][0] && step <= one.view[0][1]);
        const steps = inside.length ? inside : one.steps;
        const here = one.step === undefined ? (by > 0 ? -1 : steps.length) : nearest(steps, one.step);
        one.step = readAll(one, steps[Math.min(steps.length - 1, Math.max(0, here + by))]);
      } else if (event.key === "+" || event.key === "-") {
        event.preventDefault();
        const [low, high] = one.view[0], [least, most] = one.axes[0], middle = one.step ?? (low + high) / 2;
        const half = (high - low) * (event.key === "+" ? 0.25 : 1);
        const range = [Math.max(least, middle - half), Math.min(most, middle + half)];
        zoom(one, range[0] === least && range[1] === most ? null : range);
      } else if (event.key === "Escape") {
        zoom(one, null);
      }
    });
    for (const button of one.figure.querySelectorAll("[data-toggle]")) {
      button.addEventListener("click", () => {
        const label = one.series[Number(button.dataset.toggle)].label, hide = button.getAttribute("aria-pressed") === "true";
        for (const other of together(one)) {
          other.series.forEach((series, position) => {
            const toggle = other.figure.querySelector(`[data-toggle="${position}"]`);
            if (series.label !== label || !toggle) return;
            toggle.setAttribute("aria-pressed", String(!hide));
            other.svg.querySelector(`[data-series="${position}"]`).toggleAttribute("hidden", hide);
            if (hide) other.hidden.add(position); else other.hidden.delete(position);
          });
        }
      });
    }
  }
}
