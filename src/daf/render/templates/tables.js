(() => {
  "use strict";
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = text => Number.parseFloat(text.replace(/[,<]/g, ""));
  const absent = text => typeof text === "number" ? Number.isNaN(text) : text === "";
  const order = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.hasAttribute("data-fixed")) return;
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const read = head.classList.contains("n") ? row => number(text(row, column)) : row => text(row, column);
        const rows = [...body.rows].map(row => [read(row), row]);
        rows.sort(([a], [b]) => absent(a) || absent(b) ? absent(a) - absent(b) : down ? order(b, a) : order(a, b));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }
  for (const controls of document.querySelectorAll(".controls")) {
    const rows = [...document.getElementById(controls.dataset.table).tBodies[0].rows];
    const texts = rows.map(row => row.textContent.toLowerCase());
    const selects = [...controls.querySelectorAll("select")];
    const words = controls.querySelector("input");
    const count = controls.querySelector("output");
    const apply = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, position) => {
        const fits = selects.every(select => !select.value || text(row, Number(select.dataset.column)) === select.value)
          && wanted.every(word => texts[position].includes(word));
        row.hidden = !fits;
        shown += fits;
      });
      count.value = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    };
    controls.hidden = false;
    controls.addEventListener("input", apply);
    apply();
  }
})();
