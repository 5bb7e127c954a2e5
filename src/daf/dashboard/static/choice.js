// The runs selected for a comparison, across all lists.

import { h, text } from "./dom.js";

const chosen = new Set();
const MOST = 10;

export function tick(key, onChange) {
  const box = h("input", { type: "checkbox", "aria-label": `Compare ${key}`, onchange: () => {
    if (box.checked) chosen.add(key); else chosen.delete(key);
    onChange();
  } });
  box.checked = chosen.has(key);
  return box;
}

export class Choice {
  constructor() {
    this.words = h("span");
    this.go = h("a", { class: "button primary", role: "button" });
    const clear = h("button", { type: "button", class: "quiet", onclick: () => {
      chosen.clear();
      for (const box of document.querySelectorAll("td.pick input")) box.checked = false;
      this.show();
    } }, "clear");
    this.node = h("div", { id: "choice", role: "region", "aria-label": "Runs selected for a comparison" }, this.words, this.go, clear);
    this.show();
  }

  show() {
    const count = chosen.size;
    this.node.hidden = count === 0;
    text(this.words, count === 1 ? "1 run selected; select another to compare." : count > MOST ? `${count} runs selected; at most ${MOST} can be compared.` : `${count} runs selected`);
    this.go.hidden = count < 2 || count > MOST;
    text(this.go, `Compare ${count} runs`);
    this.go.href = `#/compare?${new URLSearchParams([...chosen].map(key => ["run", key]))}`;
  }
}
