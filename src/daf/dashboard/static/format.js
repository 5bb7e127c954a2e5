// Numbers, times and sizes as text.

import { minus, number } from "./scales.js";

// `value` with the digits that its interval supports, at least two significant ones, and enough to distinguish it from
// `others`: rounding neither turns a small mean into 0 nor hides which of two values is larger.
export function within(value, bounds, others = []) {
  if (!Number.isFinite(value)) return "–";
  const half = halfOf(bounds);
  const least = Math.max(half > 0 ? decimalsFor(half / 3) : Number.isInteger(value) ? 0 : decimalsFor(value / 100), half > 0 && Math.abs(value) > half * 1e-6 ? decimalsFor(value / 10) : 0);
  return fixed(value, Math.max(least, apart(value, others)));
}

function halfOf(bounds) {
  return bounds && Number.isFinite(bounds[0]) && Number.isFinite(bounds[1]) ? (bounds[1] - bounds[0]) / 2 : 0;
}

// The number of decimals that shows a digit of this size.
function decimalsFor(size) {
  return size === 0 ? 0 : Math.max(0, -Math.floor(Math.log10(Math.abs(size))));
}

// The fewest decimals that round value and the nearest of the others differently, up to six significant digits.
function apart(value, others) {
  const finest = decimalsFor(value / 1e5);
  const gaps = others.filter(Number.isFinite).map(other => Math.abs(other - value)).filter(gap => gap > 10 ** -finest);
  if (!gaps.length) return 0;
  const nearest = others[others.findIndex(other => Math.abs(other - value) === Math.min(...gaps))];
  let decimals = 0;
  while (decimals < finest && fixed(value, decimals) === fixed(nearest, decimals)) decimals += 1;
  return decimals;
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
