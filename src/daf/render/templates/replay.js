"use strict";
(async () => {
  const $ = id => document.getElementById(id);

  // Packed parts of the page: base64 of deflated JSON.
  const unpack = async id => {
    const text = atob($(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };

  // A series is {s: steps, v: values}; its value at a step is the last one not after it.
  const absolute = series => {
    let step = 0;
    const steps = new Int32Array(series.s.length);
    series.s.forEach((difference, i) => { steps[i] = step += difference; });
    return { s: steps, v: series.v };
  };
  const index = (series, step) => {
    let low = 0, high = series.s.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (series.s[middle] <= step) low = middle; else high = middle;
    }
    return low;
  };
  const at = (series, step) => series.v[index(series, step)];

  const [data, atlas] = await Promise.all([unpack("core"), unpack("atlas")]);
  const picture = source => new Promise(done => {
    if (!source) return done(null);
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => done(null);
    image.src = source;
  });
  const [sprites, ground] = await Promise.all([picture(atlas.image), picture(atlas.ground)]);
  const FIELDS = ["x", "y", "facing", "role", "alive", "vibe", "hp", "energy", "hp_most", "energy_most", "action", "failed"];
  for (const agent of data.agents) for (const name of FIELDS) agent[name] = absolute(agent[name]);
  for (const building of data.buildings) building.s = Int32Array.from(building[1], look => look[0]);

  const NEUTRAL = "#8490a0";
  const color = team => team < 0 ? NEUTRAL : data.teams[team].color;
  const teamName = team => team < 0 ? "no team" : data.teams[team].name;
  const last = Math.max(data.steps - 1, 0);
  const state = { step: 0, playing: false, speed: 10, agent: -1, heat: false, follow: false, scale: 1, left: 0, top: 0, debt: 0 };
  const map = $("map"), context = map.getContext("2d"), mini = $("mini"), overview = mini.getContext("2d");

  // The ground and the walls never change: they are drawn once.
  const CELL = Math.max(4, Math.min(24, Math.floor(4096 / Math.max(data.width, data.height))));
  const terrain = document.createElement("canvas");
  terrain.width = data.width * CELL;
  terrain.height = data.height * CELL;
  const walls = new Uint8Array(data.width * data.height);
  for (let i = 0; i < data.walls.length; i += 2) walls.fill(1, data.walls[i], data.walls[i] + data.walls[i + 1]);
  const wall = (x, y) => x < 0 || y < 0 || x >= data.width || y >= data.height || walls[y * data.width + x] === 1;
  (() => {
    const paint = terrain.getContext("2d");
    paint.fillStyle = "#80725f";
    paint.fillRect(0, 0, terrain.width, terrain.height);
    if (ground) {
      const pattern = paint.createPattern(ground, "repeat");
      paint.fillStyle = pattern;
      paint.fillRect(0, 0, terrain.width, terrain.height);
    }
    const edge = Math.max(1, CELL / 8);
    for (let y = 0; y < data.height; y++) for (let x = 0; x < data.width; x++) {
      if (!walls[y * data.width + x]) continue;
      const px = x * CELL, py = y * CELL;
      paint.fillStyle = "#423c3a";
      paint.fillRect(px, py, CELL, CELL);
      paint.fillStyle = "#625a54";
      if (!wall(x, y - 1)) paint.fillRect(px, py, CELL, edge);
      if (!wall(x - 1, y)) paint.fillRect(px, py, 1, CELL);
      paint.fillStyle = "#2c2828";
      if (!wall(x, y + 1)) paint.fillRect(px, py + CELL - 2 * edge, CELL, 2 * edge);
      if (!wall(x + 1, y)) paint.fillRect(px + CELL - 1, py, 1, CELL);
    }
  })();

  const draw = (name, x, y, size, share) => {
    const place = atlas.places[name];
    if (!place || !sprites) return false;
    const scale = size * share / Math.max(place[2], place[3]);
    const width = place[2] * scale, height = place[3] * scale;
    context.drawImage(sprites, place[0], place[1], place[2], place[3], x + (size - width) / 2, y + (size - height) / 2, width, height);
    return true;
  };

  const visits = (agents, step) => {
    const counts = new Int32Array(data.width * data.height);
    for (const number of agents) {
      const agent = data.agents[number];
      let i = 0, j = 0, now = 0;
      while (now <= step) {
        while (i + 1 < agent.x.s.length && agent.x.s[i + 1] <= now) i++;
        while (j + 1 < agent.y.s.length && agent.y.s[j + 1] <= now) j++;
        const next = Math.min(agent.x.s[i + 1] ?? Infinity, agent.y.s[j + 1] ?? Infinity, step + 1);
        counts[agent.y.v[j] * data.width + agent.x.v[i]] += next - now;
        now = next;
      }
    }
    return counts;
  };

  const drawHeat = (cell, left, top) => {
    const counts = visits(state.agent < 0 ? data.agents.keys() : [state.agent], state.step);
    let most = 0;
    for (const count of counts) most = Math.max(most, count);
    const scale = Math.log1p(most);
    for (let y = 0; y < data.height; y++) for (let x = 0; x < data.width; x++) {
      const count = counts[y * data.width + x];
      if (!count) continue;
      const heat = Math.log1p(count) / scale;
      context.fillStyle = `hsla(${60 - 60 * heat} 100% ${70 - 25 * heat}% / ${0.25 + 0.6 * heat})`;
      context.fillRect(x * cell + left, y * cell + top, cell + 0.5, cell + 0.5);
    }
  };

  const drawBuilding = (building, cell, left, top) => {
    const [, x, y, team, depleted, gone] = building[1][index(building, state.step)];
    const px = x * cell + left, py = y * cell + top;
    if (px > map.width || py > map.height || px < -cell || py < -cell) return;
    const name = data.types[building[0]];
    if (gone) { draw(name + " remnant", px, py, cell, 1); return; }
    if (team >= 0) {
      context.globalAlpha = 0.55;
      context.fillStyle = color(team);
      context.fillRect(px, py, cell, cell);
      context.globalAlpha = 1;
      context.strokeStyle = color(team);
      context.lineWidth = Math.max(1, cell / 12);
      context.strokeRect(px + context.lineWidth / 2, py + context.lineWidth / 2, cell - context.lineWidth, cell - context.lineWidth);
    }
    if ((depleted && draw(name + " depleted", px, py, cell, 1)) || draw(name, px, py, cell, 1)) return;
    context.fillStyle = team < 0 ? NEUTRAL : color(team);
    context.fillRect(px + cell / 5, py + cell / 5, cell * 3 / 5, cell * 3 / 5);
  };

  const drawAgent = (agent, number, cell, left, top) => {
    const step = state.step;
    if (!at(agent.alive, step)) return;
    const px = at(agent.x, step) * cell + left, py = at(agent.y, step) * cell + top;
    if (px > map.width || py > map.height || px < -cell || py < -cell) return;
    const middle = cell / 2, facing = at(agent.facing, step);
    context.beginPath();
    context.arc(px + middle, py + middle, cell * 0.48, 0, 7);
    context.fillStyle = color(agent.team);
    context.fill();
    context.lineWidth = Math.max(1, cell / 16);
    context.strokeStyle = "#121214";
    context.stroke();
    const role = data.roles[at(agent.role, step)];
    if (cell >= 10) draw(`${role} ${data.directions[facing]}`, px, py - cell / 12, cell, 0.85);
    const [dx, dy] = [[0, -1], [0, 1], [-1, 0], [1, 0]][facing];
    context.beginPath();
    context.moveTo(px + middle + dx * middle * 1.15, py + middle + dy * middle * 1.15);
    context.lineTo(px + middle + (dx * 0.75 + dy * 0.25) * middle, py + middle + (dy * 0.75 + dx * 0.25) * middle);
    context.lineTo(px + middle + (dx * 0.75 - dy * 0.25) * middle, py + middle + (dy * 0.75 - dx * 0.25) * middle);
    context.fillStyle = "#fff";
    context.fill();
    if (cell >= 12) {
      const thick = Math.max(2, cell / 12);
      ["hp", "energy"].forEach((name, i) => {
        if (!data.bars[i]) return;
        const share = Math.min(1, at(agent[name], step) / Math.max(1, at(agent[name + "_most"], step)));
        const y = py + cell - (2 - i) * thick;
        context.fillStyle = "#32302e";
        context.fillRect(px + 1, y, cell - 2, thick);
        context.fillStyle = i ? "#5abeff" : share > 1 / 3 ? "#46d75a" : "#ff503c";
        context.fillRect(px + 1, y, (cell - 2) * share, thick);
      });
    }
    const vibe = data.vibes[at(agent.vibe, step)];
    if (cell >= 14 && vibe && vibe !== "default") draw("vibe " + vibe, px + cell * 0.6, py - cell * 0.05, cell * 0.4, 1);
    if (number === state.agent) {
      context.strokeStyle = "#ffd166";
      context.lineWidth = Math.max(2, cell / 10);
      context.strokeRect(px - 1, py - 1, cell + 2, cell + 2);
    }
    if (cell >= 30) {
      context.font = `${Math.round(cell / 4)}px system-ui`;
      context.fillStyle = "#fff";
      context.fillText(String(number), px + 2, py + cell / 4);
    }
  };

  const fitScale = () => Math.min(map.width / data.width, map.height / data.height);
  const clampView = () => {
    const cell = state.scale, wide = data.width * cell, high = data.height * cell;
    state.left = wide <= map.width ? (map.width - wide) / 2 : Math.min(0, Math.max(map.width - wide, state.left));
    state.top = high <= map.height ? (map.height - high) / 2 : Math.min(0, Math.max(map.height - high, state.top));
  };
  const centre = (x, y) => {
    state.left = map.width / 2 - (x + 0.5) * state.scale;
    state.top = map.height / 2 - (y + 0.5) * state.scale;
    clampView();
  };

  const drawMini = () => {
    // With the whole map in view an overview would only hide a corner of it.
    mini.hidden = state.scale <= fitScale() * 1.01;
    if (mini.hidden) return;
    overview.imageSmoothingEnabled = true;
    overview.drawImage(terrain, 0, 0, mini.width, mini.height);
    const across = mini.width / data.width;
    const spot = (x, y, size, fill) => {
      overview.fillStyle = fill;
      overview.fillRect((x + 0.5) * across - size / 2, (y + 0.5) * across - size / 2, size, size);
    };
    for (const building of data.buildings) {
      const [, x, y, team, , gone] = building[1][index(building, state.step)];
      if (team >= 0 && !gone) spot(x, y, 3, color(team));
    }
    data.agents.forEach((agent, number) => {
      const size = number === state.agent ? 7 : 5, x = at(agent.x, state.step), y = at(agent.y, state.step);
      spot(x, y, size, number === state.agent ? "#ffd166" : "#121214");
      spot(x, y, size - 2, color(agent.team));
    });
    overview.strokeStyle = "#fff";
    const share = across / state.scale;
    overview.strokeRect(-state.left * share, -state.top * share, map.width * share, map.height * share);
  };

  const render = () => {
    if (state.follow && state.agent >= 0) {
      const agent = data.agents[state.agent];
      centre(at(agent.x, state.step), at(agent.y, state.step));
    }
    const cell = state.scale, left = state.left, top = state.top;
    context.fillStyle = "#101114";
    context.fillRect(0, 0, map.width, map.height);
    context.imageSmoothingEnabled = true;
    context.drawImage(terrain, left, top, data.width * cell, data.height * cell);
    if (state.heat) drawHeat(cell, left, top);
    for (const building of data.buildings) drawBuilding(building, cell, left, top);
    data.agents.forEach((agent, number) => drawAgent(agent, number, cell, left, top));
    drawMini();
    showState();
  };

  // The side panel.
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const dot = team => { const made = element("span", "", "dot"); made.style.background = color(team); return made; };
  const facts = [`${data.steps.toLocaleString("en")} steps`, `${data.agents.length} agents`, `${data.width}×${data.height}`];
  if (data.seed !== null) facts.push(`seed ${data.seed}`);
  $("facts").textContent = facts.join(" · ") + " · " + data.file;
  const scoreRows = data.scores.curves.map((_, i) => {
    if (i && !data.scores.curves[i].some(value => value !== null)) return null;
    const row = element("div"), label = element("span"), value = element("b");
    if (i) label.append(dot(i - 1));
    label.append(i ? data.teams[i - 1].name : "reward per agent");
    row.append(label, value);
    $("score").append(row);
    return value;
  });
  const rows = data.agents.map((agent, number) => {
    const row = element("button"), role = element("span"), hp = element("span", "", "hp"), energy = element("span", "", "energy"), action = element("span");
    row.setAttribute("role", "option");
    row.title = teamName(agent.team);
    const spot = element("span");
    spot.append(dot(agent.team));
    row.append(spot, element("span", String(number)), role, hp, energy, action);
    row.onclick = () => choose(number === state.agent ? -1 : number);
    $("agents").append(row);
    return { row, role, hp, energy, action };
  });
  const set = (target, text) => { if (target.textContent !== text) target.textContent = text; };
  const short = value => value === null || value === undefined ? "–" : Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(Math.abs(value) < 10 ? 3 : 2);

  const showState = () => {
    const step = state.step;
    set($("step"), `step ${step} of ${last}`);
    $("seek").value = step;
    const point = Math.floor(step / data.scores.every);
    scoreRows.forEach((value, i) => { if (value) set(value, short(data.scores.curves[i][point])); });
    data.agents.forEach((agent, number) => {
      const { row, role, hp, energy, action } = rows[number];
      set(role, data.roles[at(agent.role, step)]);
      set(hp, data.bars[0] ? String(at(agent.hp, step)) : "");
      set(energy, data.bars[1] ? String(at(agent.energy, step)) : "");
      set(action, data.actions[at(agent.action, step)] ?? "");
      const failed = at(agent.failed, step) ? "failed" : "";
      if (action.className !== failed) { action.className = failed; action.title = failed ? "without effect" : ""; }
      row.setAttribute("aria-selected", String(number === state.agent));
    });
    showChosen();
  };

  // The chosen agent: what it holds, its return and what its policy reported, over time.
  const known = new Map();
  let parts = null;
  const choose = async number => {
    state.agent = number;
    if (number < 0) state.follow = false;
    $("follow").disabled = number < 0;
    $("follow").setAttribute("aria-pressed", String(state.follow));
    parts = null;
    $("chosen").hidden = number < 0;
    $("chosen").replaceChildren();
    link();
    if (number >= 0) {
      rows[number].row.scrollIntoView({ block: "nearest" });
      if (!known.has(number)) {
        const found = await unpack("details-" + number);
        found.reward = absolute(found.reward);
        found.infos = absolute(found.infos);
        for (const item in found.items) found.items[item] = absolute(found.items[item]);
        known.set(number, found);
      }
      if (state.agent !== number) return;
      build(number, known.get(number));
    }
    render();
  };

  const build = (number, found) => {
    const box = $("chosen"), heading = element("h2");
    heading.append(dot(data.agents[number].team), `Agent ${number} of ${teamName(data.agents[number].team)}`);
    box.append(heading);
    const charts = [];
    const chart = (label, series, stroke) => {
      const head = element("div", undefined, "row"), value = element("b"), canvas = element("canvas");
      head.append(element("span", label), value);
      canvas.width = 600; canvas.height = 88;
      canvas.setAttribute("aria-label", label + " over time");
      canvas.onclick = event => seek(Math.round(event.offsetX / canvas.clientWidth * last));
      box.append(head, canvas);
      const plain = document.createElement("canvas");
      plain.width = canvas.width; plain.height = canvas.height;
      const paint = plain.getContext("2d");
      let low = 0, high = 0;
      for (const one of series.v) { low = Math.min(low, one); high = Math.max(high, one); }
      const y = one => 84 - (one - low) / (high - low || 1) * 80;
      paint.strokeStyle = stroke; paint.lineWidth = 2; paint.beginPath();
      paint.moveTo(0, y(series.v[0]));
      const wide = step => step / Math.max(last, 1) * 600;
      series.v.forEach((one, i) => { if (i) paint.lineTo(wide(series.s[i]), y(series.v[i - 1])); paint.lineTo(wide(series.s[i]), y(one)); });
      paint.lineTo(600, y(series.v[series.v.length - 1]));
      paint.stroke();
      charts.push({ series, value, paint: canvas.getContext("2d"), plain });
    };
    chart("return", found.reward, "#ffd166");
    const names = Object.keys(found.items).sort((a, b) => a - b);
    const tones = ["#46d75a", "#5abeff", "#ff9f5a", "#c58cff", "#ff7aa8", "#7fd8c8", "#d8d27f"];
    names.forEach((item, i) => chart(data.items[item] ?? "#" + item, found.items[item], tones[i % tones.length]));
    const infoList = element("div");
    infoList.id = "infos";
    if (found.infos.v.some(info => info && Object.keys(info).length)) box.append(element("h2", "Reported by the policy"), infoList);
    parts = { charts, infoList, infos: found.infos, shown: -1 };
  };

  const showChosen = () => {
    if (!parts) return;
    for (const { series, value, paint, plain } of parts.charts) {
      const now = at(series, state.step);
      set(value, Number.isInteger(now) ? String(now) : short(now));
      paint.clearRect(0, 0, 600, 88);
      paint.drawImage(plain, 0, 0);
      paint.fillStyle = "#ffffffb0";
      paint.fillRect(state.step / Math.max(last, 1) * 600 - 1, 0, 2, 88);
    }
    const now = index(parts.infos, state.step);
    if (now === parts.shown) return;
    parts.shown = now;
    parts.infoList.replaceChildren();
    for (let i = now; i > Math.max(-1, now - 6); i--) {
      const line = element("div", undefined, i === now ? "info now" : "info"), info = parts.infos.v[i];
      line.append(element("b", `step ${parts.infos.s[i]}  `));
      const text = info && typeof info === "object"
        ? Object.entries(info).map(([name, value]) => `${name}: ${typeof value === "string" ? value.trim() : JSON.stringify(value)}`).join("\n")
        : JSON.stringify(info);
      line.append("\n" + text.slice(0, 2000));
      const to = parts.infos.s[i];
      line.onclick = () => seek(to);
      parts.infoList.append(line);
    }
  };

  // Time.
  let linked = 0;
  const link = () => {
    clearTimeout(linked);
    linked = setTimeout(() => {
      const wanted = `#step=${state.step}` + (state.agent < 0 ? "" : `&agent=${state.agent}`);
      if (location.hash !== wanted) history.replaceState(null, "", wanted);
    }, 150);
  };
  const seek = step => {
    state.step = Math.max(0, Math.min(last, step));
    render();
    link();
  };
  const play = on => {
    state.playing = on && data.steps > 1;
    if (state.playing && state.step === last) state.step = 0;
    state.debt = 0;
    $("play").textContent = state.playing ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    if (state.playing) requestAnimationFrame(now => { before = now; requestAnimationFrame(tick); });
    else link();
  };
  let before = 0;
  const tick = now => {
    if (!state.playing) return;
    state.debt += Math.min(now - before, 250) / 1000 * state.speed;
    before = now;
    const steps = Math.floor(state.debt);
    if (steps) {
      state.debt -= steps;
      state.step = Math.min(last, state.step + steps);
      render();
      if (state.step === last) { play(false); return; }
    }
    requestAnimationFrame(tick);
  };
  const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 500];
  for (const speed of SPEEDS) $("speed").append(new Option(String(speed), String(speed), speed === 10, speed === 10));
  const faster = by => {
    const next = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(state.speed) + by))];
    state.speed = next;
    $("speed").value = String(next);
  };

  // Space.
  const zoom = (factor, x, y) => {
    const least = Math.min(fitScale(), 4);
    const scale = Math.max(least, Math.min(96 * devicePixelRatio, state.scale * factor));
    state.left = x - (x - state.left) * scale / state.scale;
    state.top = y - (y - state.top) * scale / state.scale;
    state.scale = scale;
    clampView();
    render();
  };
  const fit = () => { state.scale = fitScale(); state.follow = false; $("follow").setAttribute("aria-pressed", "false"); clampView(); render(); };
  const resize = () => {
    const whole = state.scale === fitScale();
    const box = $("stage").getBoundingClientRect();
    map.width = Math.max(1, Math.round(box.width * devicePixelRatio));
    map.height = Math.max(1, Math.round(box.height * devicePixelRatio));
    const side = 150;
    mini.width = Math.round(side * Math.min(1, data.width / data.height));
    mini.height = Math.round(side * Math.min(1, data.height / data.width));
    if (whole || state.scale < fitScale()) state.scale = fitScale();
    clampView();
    render();
  };
  const cellAt = event => {
    const x = event.offsetX * devicePixelRatio, y = event.offsetY * devicePixelRatio;
    return [Math.floor((x - state.left) / state.scale), Math.floor((y - state.top) / state.scale)];
  };
  let drag = null;
  map.onpointerdown = event => { drag = { x: event.clientX, y: event.clientY, left: state.left, top: state.top, moved: false }; map.setPointerCapture(event.pointerId); };
  map.onpointermove = event => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true;
    if (!drag.moved) return;
    state.follow = false;
    $("follow").setAttribute("aria-pressed", "false");
    state.left = drag.left + dx * devicePixelRatio;
    state.top = drag.top + dy * devicePixelRatio;
    clampView();
    render();
  };
  map.onpointerup = event => {
    const was = drag;
    drag = null;
    if (!was || was.moved) return;
    const [x, y] = cellAt(event);
    let best = -1, nearest = Math.max(1.1, 14 * devicePixelRatio / state.scale);
    data.agents.forEach((agent, number) => {
      const apart = Math.hypot(at(agent.x, state.step) - x, at(agent.y, state.step) - y);
      if (apart < nearest && at(agent.alive, state.step)) { nearest = apart; best = number; }
    });
    choose(best);
  };
  map.onpointercancel = () => { drag = null; };
  map.addEventListener("wheel", event => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX * devicePixelRatio, event.offsetY * devicePixelRatio);
  }, { passive: false });
  mini.onclick = event => {
    if (state.scale <= fitScale() * 1.01) state.scale = fitScale() * 3;
    centre(event.offsetX / mini.clientWidth * data.width - 0.5, event.offsetY / mini.clientHeight * data.height - 0.5);
    render();
  };

  // Buttons and keys.
  const toggle = (name, on) => {
    state[name] = on;
    $(name).setAttribute("aria-pressed", String(on));
    if (name === "follow" && on && state.scale < 20 * devicePixelRatio) state.scale = Math.max(fitScale(), 28 * devicePixelRatio);
    render();
  };
  $("play").onclick = () => play(!state.playing);
  $("back").onclick = () => { play(false); seek(state.step - 1); };
  $("on").onclick = () => { play(false); seek(state.step + 1); };
  $("seek").max = last;
  $("seek").oninput = event => { play(false); seek(Number(event.target.value)); };
  $("speed").onchange = event => { state.speed = Number(event.target.value); };
  $("heat").onclick = () => toggle("heat", !state.heat);
  $("follow").onclick = () => toggle("follow", !state.follow);
  $("fit").onclick = fit;
  $("keys").onclick = () => { $("help").hidden = !$("help").hidden; };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const step = event.shiftKey ? 10 : 1, many = data.agents.length;
    const keys = {
      " ": () => play(!state.playing),
      ArrowLeft: () => { play(false); seek(state.step - step); },
      ArrowRight: () => { play(false); seek(state.step + step); },
      Home: () => seek(0),
      End: () => { play(false); seek(last); },
      "<": () => faster(-1),
      ">": () => faster(1),
      "+": () => zoom(1.3, map.width / 2, map.height / 2),
      "=": () => zoom(1.3, map.width / 2, map.height / 2),
      "-": () => zoom(1 / 1.3, map.width / 2, map.height / 2),
      0: fit,
      n: () => many && choose((state.agent + 1) % many),
      p: () => many && choose((Math.max(state.agent, 0) + many - 1) % many),
      f: () => state.agent >= 0 && toggle("follow", !state.follow),
      h: () => toggle("heat", !state.heat),
      Escape: () => { $("help").hidden = true; choose(-1); },
      "?": () => { $("help").hidden = !$("help").hidden; },
    };
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  });
  addEventListener("resize", resize);

  const follow = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const step = Number.parseInt(wanted.get("step") ?? "", 10), agent = Number.parseInt(wanted.get("agent") ?? "", 10);
    if (Number.isInteger(step)) state.step = Math.max(0, Math.min(last, step));
    return Number.isInteger(agent) && agent >= 0 && agent < data.agents.length ? agent : -1;
  };
  addEventListener("hashchange", () => { play(false); choose(follow()); });
  const first = follow();
  $("follow").disabled = true;
  state.scale = 0;
  resize();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
  if (first >= 0) await choose(first);
})();
