// Numbers, times and sizes as text.

import { minus, number, sameDecimals } from "./scales.js";

// By row, the text of an estimate and of its interval: the numbers of both columns share their decimals, which the
// intervals determine. bounds(row): [low, high], or null.
export function estimates(rows, value, bounds) {
  const around = rows.map(row => (bounds(row)?.every(Number.isFinite) ? bounds(row) : null));
  const halves = around.map(halfOf);
  const values = sameDecimals(rows.map(row => value(row) ?? null), halves);
  const ends = sameDecimals(around.filter(Boolean).flat(), halves);
  return new Map(rows.map((row, i) => [row, { value: values[i], interval: around[i] ? `[${ends.shift()}, ${ends.shift()}]` : "–" }]));
}

function halfOf(bounds) {
  return bounds && Number.isFinite(bounds[0]) && Number.isFinite(bounds[1]) ? (bounds[1] - bounds[0]) / 2 : 0;
}

// The number of decimals that shows a digit of this size.
function decimalsFor(size) {
  return size === 0 ? 0 : Math.max(0, -Math.floor(Math.log10(Math.abs(size))));
}

function fixed(value, decimals) {
  if (decimals > 6 || Math.abs(value) >= 1e9) return number(value, 3);
  const shown = Number(value.toFixed(decimals)) === 0 ? 0 : value;  // never "−0.0"
  return minus(shown.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: decimals }));
}

export function integer(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

// "1 run", "1,200 runs".
export function counted(count, noun) {
  return `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.05) return "<0.1 s";
  const whole = Math.round(value);
  if (whole < 90) return `${value < 10 ? Math.round(value * 10) / 10 : whole} s`;
  if (whole < 5400) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

export function when(time) {
  if (!time) return "–";
  const date = new Date(time * 1000);
  const day = new Date().toDateString() === date.toDateString() ? "today" : date.toLocaleDateString("en-CA");
  return `${day} ${date.toLocaleTimeString("en-GB")}`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  for (const unit of ["kB", "MB", "GB"]) {
    value /= 1000;
    if (value < 1000 || unit === "GB") return `${value.toFixed(1)} ${unit}`;
  }
}

export function megabytes(value) {
  if (value === null || value === undefined) return "–";
  return value >= 10240 ? `${(value / 1024).toFixed(0)} GiB` : value >= 1024 ? `${(value / 1024).toFixed(1)} GiB` : `${value.toFixed(0)} MiB`;
}

export function interval(bounds) {
  const half = halfOf(bounds);
  if (half === 0) return bounds && Number.isFinite(bounds[0]) ? `[${number(bounds[0], 3)}, ${number(bounds[1], 3)}]` : "–";
  const decimals = Math.max(decimalsFor(half / 3), decimalsFor(Math.max(...bounds.map(Math.abs)) / 10));
  const [low, high] = bounds.map(bound => fixed(bound, Math.max(decimals, Math.abs(bound) > half * 1e-6 ? decimalsFor(bound) : 0)));  // enough to show the sign
  return `[${low}, ${high}]`;
}
