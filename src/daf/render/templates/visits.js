// Maps of visits: the pointer or the arrow keys read the count of a cell, the menu shows one map alone.
{
  const SVG = "http://www.w3.org/2000/svg";
  const figures = [...document.querySelectorAll("svg[data-visits]")].map(svg => {
    const figure = svg.closest("figure");
    const { maps, tile } = JSON.parse(svg.dataset.visits);
    const { width, height } = svg.querySelector(".plane");
    return { svg, figure, maps, tile, width: width.baseVal.value, height: height.baseVal.value, group: figure.closest(".linked") ?? figure, output: figure.querySelector("output"), plane: svg.querySelector(".plane"),
      names: svg.querySelector(".names"), scale: svg.querySelector(".scale"), choice: figure.querySelector("select"), chosen: null, counts: null, at: null };
  });
  // The counts are an image: each pixel a cell, its red, green and blue the 24 bits of a number; further bits are below.
  async function load(one) {
    const image = new Image();
    image.src = one.svg.dataset.counts;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const [width, height] = ["width", "height"].map(side => one.plane.querySelector("image")[side].baseVal.value);
    return (column, row) => {
      let count = 0;
      for (let plane = Math.round(image.height / height) - 1; plane >= 0; plane -= 1) {
        const i = 4 * ((plane * height + row) * width + column);
        count = count * 2 ** 24 + data[i] * 65536 + data[i + 1] * 256 + data[i + 2];
      }
      return count;
    };
  }
  const loaded = one => (one.counts ??= load(one));
  const inside = (one, column, row) => one.maps.find(([name, left, top, width, height]) =>
    (one.chosen === null || one.chosen === name) && column >= left && column < left + width && row >= top && row < top + height);
  const tiles = (first, one) => (one.tile === 1 ? `${first}` : `${first} to ${first + one.tile - 1}`);

  async function read(one, column, row) {
    const counts = await loaded(one);
    const map = inside(one, column, row);
    one.plane.querySelector(".cursor")?.remove();
    if (!map) { one.output.value = ""; return; }
    const [name, left, top, , , x, y] = map;
    const cursor = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ class: "cursor", x: column, y: row, width: 1, height: 1 })) cursor.setAttribute(key, value);
    one.plane.append(cursor);
    one.at = [column, row];
    const count = counts(column, row);
    one.output.value = `map ${name}, x ${tiles(x + (column - left) * one.tile, one)}, y ${tiles(y + (row - top) * one.tile, one)}: `
      + (count === 0 ? "in no record" : count === 1 ? "1 visit" : `${number(count, 15)} visits`);
  }
  function clear(one) {
    one.plane.querySelector(".cursor")?.remove();
    one.output.value = "";
  }
  function show(one, name) {
    one.chosen = name;
    one.at = null;
    clear(one);
    const map = one.maps.find(each => each[0] === name);
    const whole = one.plane.querySelector("image");
    const [left, top, width, height] = map ? map.slice(1, 5) : [0, 0, whole.width.baseVal.value, whole.height.baseVal.value];
    const scale = Math.min(one.width / width, one.height / height);
    const attributes = { viewBox: `${left} ${top} ${width} ${height}`, width: width * scale, height: height * scale };
    for (const [key, value] of Object.entries(attributes)) one.plane.setAttribute(key, value);
    if (one.names) one.names.toggleAttribute("hidden", Boolean(map));
    if (one.choice) one.choice.value = map ? name : "";
    one.scale.replaceChildren(...(map ? axes(one, map, scale / one.tile) : []));
  }
  function axes(one, [, , , width, height, x0, y0], scale) {
    const plane = { x: one.plane.x.baseVal.value, y: one.plane.y.baseVal.value };
    const found = [];
    const put = (text, x, y, anchor) => {
      const label = document.createElementNS(SVG, "text");
      for (const [key, value] of Object.entries({ x, y, "text-anchor": anchor })) label.setAttribute(key, value);
      label.append(text);
      found.push(label);
    };
    const whole = (first, size) => ticksBetween(first, first + size * one.tile - 1, Math.max(1, Math.min(8, size * one.tile * scale / 60))).filter(Number.isInteger);
    for (const x of whole(x0, width)) put(number(x), plane.x + (x - x0 + 0.5) * scale, plane.y + height * one.tile * scale + 16, "middle");
    for (const y of whole(y0, height)) put(number(y), plane.x - 6, plane.y + (y - y0 + 0.5) * scale + 4, "end");
    return found;
  }

  for (const one of figures) {
    const all = figures.filter(other => other.group === one.group);
    if (one.choice) {
      one.choice.closest("label").hidden = false;
      one.choice.addEventListener("change", () => {
        for (const other of all) show(other, one.choice.value === "" ? null : Number(one.choice.value));
      });
    }
    const move = event => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(one.plane.querySelector("image").getScreenCTM().inverse());
      read(one, Math.floor(at.x), Math.floor(at.y));
    };
    one.svg.addEventListener("pointermove", move);
    one.svg.addEventListener("pointerdown", move);
    one.svg.addEventListener("pointerleave", () => clear(one));
    one.svg.addEventListener("blur", () => clear(one));
    one.svg.addEventListener("keydown", async event => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [0, 0] }[event.key];
      if (!by) return;
      event.preventDefault();
      if (one.at === null || event.key === "Home") { read(one, ...await busiest(one)); return; }
      const next = [one.at[0] + by[0], one.at[1] + by[1]];
      if (inside(one, ...next)) read(one, ...next);
    });
  }
  async function busiest(one) {
    const counts = await loaded(one);
    let best = null, most = -1;
    for (const [name, left, top, width, height] of one.maps) {
      if (one.chosen !== null && one.chosen !== name) continue;
      for (let row = top; row < top + height; row += 1) {
        for (let column = left; column < left + width; column += 1) {
          if (counts(column, row) > most) { most = counts(column, row); best = [column, row]; }
        }
      }
    }
    return best;
  }
}
