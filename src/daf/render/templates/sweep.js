// Parallel coordinates: drag along an axis to keep the trials inside; a click on it lets go.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  for (const svg of document.querySelectorAll("svg[data-parallel]")) {
    const heights = JSON.parse(svg.dataset.parallel), trials = [...svg.querySelectorAll(".trial")];
    const output = svg.closest("figure").querySelector("output"), chosen = new Map();
    const draw = () => {
      let kept = 0;
      trials.forEach((trial, i) => {
        const inside = [...chosen].every(([axis, [low, high]]) => heights[i][axis] >= low && heights[i][axis] <= high);
        trial.classList.toggle("off", !inside);
        kept += inside;
      });
      if (output) output.value = chosen.size ? `${kept} of ${trials.length} trials` : "";
    };
    svg.querySelectorAll("[data-axis]").forEach((area, axis) => {
      const box = document.createElementNS(SVG, "rect");
      box.setAttribute("class", "chosen");
      box.setAttribute("x", Number(area.getAttribute("x")) + 8);
      box.setAttribute("width", 16);
      box.style.pointerEvents = "none";
      area.before(box);
      const at = event => {
        const frame = svg.getBoundingClientRect();
        return (event.clientY - frame.top) / frame.height * svg.viewBox.baseVal.height;
      };
      let start = null;
      const choose = (from, to) => {
        const low = Math.min(from, to), high = Math.max(from, to);
        if (high - low < 3) { chosen.delete(axis); box.setAttribute("height", 0); }
        else { chosen.set(axis, [low, high]); box.setAttribute("y", low); box.setAttribute("height", high - low); }
        draw();
      };
      area.addEventListener("pointerdown", event => { start = at(event); area.setPointerCapture(event.pointerId); choose(start, start); });
      area.addEventListener("pointermove", event => { if (start !== null) choose(start, at(event)); });
      area.addEventListener("pointerup", () => { start = null; });
      area.addEventListener("pointercancel", () => { start = null; });
    });
  }
})();
