// Tabs after the ARIA pattern: arrow keys move between tabs, and the panel below shows the selected one.

import { h, set } from "./dom.js";

export class Tabs {
  constructor(label, heard) {
    this.heard = heard;
    this.bar = h("div", { class: "tabs", role: "tablist", "aria-label": label });
    this.panel = h("div", { role: "tabpanel", id: "panel", tabindex: "-1" });
    this.names = [];
    this.bar.addEventListener("keydown", event => {
      const here = this.names.findIndex(([name]) => name === this.chosen);
      const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: this.names.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const name = this.names[(to + this.names.length) % this.names.length][0];
      this.heard(name);
      this.bar.querySelector(`[data-tab="${name}"]`)?.focus();
    });
  }

  offer(names) {
    const offered = JSON.stringify(names);
    if (offered === this.offered) return;
    this.offered = offered;
    this.names = names;
    this.bar.replaceChildren(...names.map(([name, shown, count]) => h("button", { type: "button", role: "tab", "data-tab": name, id: `tab-${name}`, "aria-controls": "panel", onclick: () => this.heard(name) },
      shown, count === null ? null : h("span", { class: "count" }, count.toLocaleString("en")))));
    if (this.chosen) this.choose(this.chosen);
  }

  choose(name) {
    this.chosen = name;
    for (const button of this.bar.children) {
      const on = button.dataset.tab === name;
      set(button, { "aria-selected": on ? "true" : "false", tabindex: on ? "0" : "-1" });
    }
    set(this.panel, { "aria-labelledby": `tab-${name}` });
  }
}
