// Numbers, times and sizes as people read them.

export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e9 || size < 1e-4)) return minus(value.toExponential(Math.max(0, digits - 2)).replace("e+", "e"));
  if (Number.isInteger(value) || size >= 10 ** digits) return minus(value.toLocaleString("en", { maximumFractionDigits: 0 }));
  return minus(value.toLocaleString("en", { maximumSignificantDigits: digits, minimumSignificantDigits: digits }));
}

// No more digits than an interval supports, as in DAF's reports.
export function within(value, bounds) {
  const half = bounds && Number.isFinite(bounds[0]) && Number.isFinite(bounds[1]) ? (bounds[1] - bounds[0]) / 2 : 0;
  if (!Number.isFinite(value) || half <= 0) return number(value, 3);
  const decimals = Math.max(0, -Math.floor(Math.log10(half / 3)));
  return decimals > 6 ? number(value, 3) : minus(value.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: decimals }));
}

function minus(told) {
  return told.replaceAll("-", "−");
}

export function short(value) {
  const size = Math.abs(value);
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (size >= factor) return minus(`${trim((value / factor).toPrecision(3))}${unit}`);
  }
  return Number.isInteger(value) || size < 1e-4 ? number(value, 3) : minus(trim(value.toPrecision(3)));
}

function trim(told) {
  return told.includes(".") && !told.includes("e") ? told.replace(/\.?0+$/, "") : told;
}

export function integer(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
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
  return bounds && Number.isFinite(bounds[0]) ? `[${within(bounds[0], bounds)}, ${within(bounds[1], bounds)}]` : "–";
}
