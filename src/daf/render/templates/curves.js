(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const told = value => Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en")
    : Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] < x) low = middle; else high = middle; }
    return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
  };
  const figures = [...document.querySelectorAll("svg[data-curve]")].map(svg => {
    const { axes, series } = JSON.parse(svg.dataset.curve);
    const figure = svg.closest("figure");
    const at = (axis, value) => axis[2] + (Math.min(Math.max(value, axis[0]), axis[1]) - axis[0]) / (axis[1] - axis[0]) * (axis[3] - axis[2]);
    return { svg, axes, series, at, figure, group: figure.closest(".linked") ?? figure, pointer: svg.querySelector(".pointer"),
      output: figure.querySelector("output"), hidden: new Set(), steps: [...new Set(series.flatMap(one => one.x))].sort((a, b) => a - b) };
  });
  const clear = one => { one.pointer.replaceChildren(); one.output.value = ""; };
  const mark = (one, x) => {
    const marks = [], words = [];
    one.series.forEach((series, position) => {
      if (one.hidden.has(position) || x < series.x[0] - 1e-9 && series.x.length > 1 && x < one.axes[0][0]) return;
      const i = nearest(series.x, x);
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("cx", one.at(one.axes[0], series.x[i]));
      dot.setAttribute("cy", one.at(one.axes[1], series.y[i]));
      dot.setAttribute("r", "3.6");
      const holder = document.createElementNS(SVG, "g");
      holder.setAttribute("class", one.svg.querySelector(`[data-series="${position}"]`).getAttribute("class"));
      holder.append(dot);
      marks.push(holder);
      let text = told(series.y[i]);
      if (series.low) text += ` [${told(series.low[i])}, ${told(series.high[i])}]`;
      if (series.notes) text += ` ${series.notes[i]}`;
      words.push(one.series.length > 1 ? `${series.label}: ${text}` : text);
    });
    const step = one.steps[nearest(one.steps, x)];
    const line = document.createElementNS(SVG, "path");
    const [, , bottom, top] = one.axes[1];
    line.setAttribute("d", `M${one.at(one.axes[0], step).toFixed(1)} ${bottom}V${top}`);
    one.pointer.replaceChildren(line, ...marks);
    const most = 12, said = words.slice(0, most).concat(words.length > most ? [`… and ${words.length - most} more`] : []);
    one.output.value = said.length ? `at ${told(step)}${said.length > 1 ? "\n" : " – "}${said.join("\n")}` : "";
    one.output.classList.toggle("left", one.at(one.axes[0], step) > one.svg.viewBox.baseVal.width / 2);
    return step;
  };
  const show = (one, x) => {
    const step = mark(one, x);
    for (const other of figures) if (other !== one && other.group === one.group) mark(other, step);
    return step;
  };
  for (const one of figures) {
    const hide = () => figures.filter(other => other.group === one.group).forEach(clear);
    const move = event => {
      const box = one.svg.getBoundingClientRect();
      const [low, high, left, right] = one.axes[0];
      const pixel = (event.clientX - box.left) / box.width * one.svg.viewBox.baseVal.width;
      one.at_step = show(one, low + (pixel - left) / (right - left) * (high - low));
    };
    one.svg.addEventListener("pointermove", move);
    one.svg.addEventListener("pointerdown", move);
    one.svg.addEventListener("pointerleave", hide);
    one.svg.addEventListener("blur", hide);
    one.svg.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      const here = one.at_step === undefined ? (by > 0 ? -1 : one.steps.length) : nearest(one.steps, one.at_step);
      one.at_step = show(one, one.steps[Math.min(one.steps.length - 1, Math.max(0, here + by))]);
    });
    for (const button of one.figure.querySelectorAll("[data-toggle]")) {
      button.addEventListener("click", () => {
        const position = Number(button.dataset.toggle);
        const shown = button.getAttribute("aria-pressed") === "true";
        button.setAttribute("aria-pressed", String(!shown));
        one.svg.querySelector(`[data-series="${position}"]`).toggleAttribute("hidden", shown);
        if (shown) one.hidden.add(position); else one.hidden.delete(position);
      });
    }
  }
})();
