// A table that updates changed cells in place, so that focus and selection are kept.
//
// columns: [{name, title?, n?, value(row) for sorting, cell(row) -> text or node, fixed?}]; rows are identified by key(row).

import { h } from "./dom.js";

export class Table {
  constructor(columns, { key, most = 200, sort = null, down = false, classes = "", label = "", heard = null, decorate = null }) {
    Object.assign(this, { columns, key, most, sort, down, heard, decorate });
    this.rows = [];
    this.kept = new Map();
    this.limit = most;
    this.heads = columns.map(column => h("th", { class: column.n ? "n" : null, scope: "col", title: column.title },
      column.fixed ? column.name : h("button", { type: "button", onclick: () => this.sortBy(column) }, column.name)));
    this.body = h("tbody");
    this.more = h("button", { type: "button", class: "more", hidden: true, onclick: () => { this.limit = Infinity; this.show(); } });
    this.node = h("div", { class: "scroll" }, h("table", { class: classes, "aria-label": label }, h("thead", {}, h("tr", {}, this.heads)), this.body), this.more);
  }

  sortBy(column) {
    this.down = this.sort === column.name ? !this.down : Boolean(column.n);
    this.sort = column.name;
    this.heard?.(this.sort, this.down);
    this.show();
  }

  update(rows) {
    this.rows = rows;
    this.show();
  }

  show() {
    const column = this.columns.find(one => one.name === this.sort);
    const sorted = column ? ordered(this.rows, column.value, this.down) : this.rows;
    const shown = sorted.slice(0, this.limit);
    this.columns.forEach((one, i) => {
      if (one === column) this.heads[i].setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else this.heads[i].removeAttribute("aria-sort");
    });
    const wanted = new Set();
    let before = this.body.firstElementChild;
    for (const row of shown) {
      const key = this.key(row);
      wanted.add(key);
      let entry = this.kept.get(key);
      if (entry === undefined) {
        entry = { node: h("tr", { "data-key": key }, this.columns.map(one => h("td", { class: one.n ? "n" : one.class, "data-name": one.name }))), row: null };
        this.kept.set(key, entry);
      }
      if (entry.row !== row) this.fill(entry, row);
      if (entry.node === before) before = before.nextElementSibling;
      else this.body.insertBefore(entry.node, before);
    }
    for (const [key, entry] of this.kept) {
      if (!wanted.has(key)) {
        entry.node.remove();
        this.kept.delete(key);
      }
    }
    this.more.hidden = sorted.length <= shown.length;
    this.more.textContent = `Show all ${sorted.length.toLocaleString("en")}`;
  }

  fill(entry, row) {
    this.columns.forEach((column, i) => {
      const cell = entry.node.cells[i];
      const made = column.cell(row);
      const node = made instanceof Node ? made : document.createTextNode(made ?? "");
      if (cell.childNodes.length === 1 && cell.firstChild.isEqualNode(node)) return;
      if (cell.contains(document.activeElement) && cell.textContent === node.textContent) return;
      cell.replaceChildren(node);
    });
    this.decorate?.(entry.node, row);
    entry.row = row;
  }
}

export function ordered(rows, value, down) {
  const absent = one => one === null || one === undefined || Number.isNaN(one);
  return rows.map(row => [value(row), row]).sort(([a], [b]) => {
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return down ? -order : order;
  }).map(([, row]) => row);
}
