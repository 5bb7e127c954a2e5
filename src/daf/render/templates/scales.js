// Round ticks, numbers as people read them, and the nearest of sorted values: shared by pages and dashboard.
// `daf.render.axis` places the same ticks in Python.

export function ticksBetween(low, high, count) {
  const raw = (high - low) / count;
  if (!(raw > 1e-12 * Math.max(Math.abs(low), Math.abs(high)))) return [low];  // closer than doubles can distinguish
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(candidate => candidate >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12) + step * 1e-9; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}

// Round values between two values above 0, for a logarithmic axis; linear ones where it spans too little for two.
export function logTicks(low, high, most) {
  const found = [];
  for (const factors of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of factors) {
        const value = Number(`${factor}e${power}`);
        if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
      }
    }
    if (found.length && ticks.length > most) break;
    found.splice(0, found.length, ...ticks);
  }
  return found.length > 1 ? found.filter((_, i) => i % Math.ceil(found.length / most) === 0) : ticksBetween(low, high, most);
}

// The ends of an axis around data from low to high: a margin on both sides, also around a single value.
export function padded([low, high]) {
  const same = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  const room = same ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.06;
  return [low - room, high + room];
}

// The numbers of a column with the same number of decimals, "–" for anything but a number; as `same_decimals` of
// `daf.render.text`. halves: half widths of their intervals, which then determine the decimals.
export function sameDecimals(values, halves = []) {
  const sizes = values.filter(value => Number.isFinite(value) && value !== 0).map(Math.abs);
  const decimals = sharedDecimals(sizes, Math.min(...halves.filter(half => half > 0)));
  return values.map(value => (Number.isFinite(value) ? withDecimals(value, decimals) : "–"));
}

function sharedDecimals(sizes, half) {
  if (!sizes.length) return 0;
  const [largest, smallest] = [Math.max(...sizes), Math.min(...sizes)].map(size => Math.floor(Math.log10(size)));
  let wanted = Math.max(0, 2 - largest, 1 - smallest);
  if (Number.isFinite(half)) wanted = Math.max(0, -Math.floor(Math.log10(half / 3)));
  else if (wanted > Math.max(0, 2 - largest) + 3) return null;  // too different in size
  for (let count = 0; count < wanted; count += 1) {
    if (sizes.every(size => Math.abs(Number(size.toFixed(count)) - size) <= 1e-9 * size)) wanted = count;
  }
  return wanted > 6 || largest >= 9 ? null : wanted;
}

function withDecimals(value, decimals) {
  if (decimals === null) return minus(String(Number(value.toPrecision(3))));
  const shown = Number(value.toFixed(decimals)) === 0 ? 0 : value;  // never "−0.0"
  return minus(shown.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: decimals }));
}

export function tickLabels(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(ticks[0]) || 1;
  const exact = Math.max(0, -Math.floor(Math.log10(step)));
  const decimals = Math.abs(step * 10 ** exact - Math.round(step * 10 ** exact)) > 1e-6 ? exact + 1 : exact;
  return ticks.map(value => {
    if (value === 0) return "0";
    if (Math.abs(value) >= 10000) return short(value);
    if (decimals > 4) return minus(value.toExponential(1));
    return minus(value.toFixed(decimals));
  });
}

export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e9 || size < 1e-4)) return minus(value.toExponential(Math.max(0, digits - 2)).replace("e+", "e"));
  if (Number.isInteger(value) || size >= 10 ** digits) return minus(value.toLocaleString("en", { maximumFractionDigits: 0 }));
  return minus(value.toLocaleString("en", { maximumSignificantDigits: digits, minimumSignificantDigits: digits }));
}

export function short(value) {
  const size = Math.abs(value);
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (size >= factor) return minus(`${trimmed((value / factor).toPrecision(3))}${unit}`);
  }
  return Number.isInteger(value) || size < 1e-4 ? number(value, 3) : minus(trimmed(value.toPrecision(3)));
}

export function minus(text) {
  return text.replaceAll("-", "−");
}

export function nearest(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle; else high = middle;
  }
  return Math.abs(sorted[high] - value) < Math.abs(sorted[low] - value) ? high : low;
}

function trimmed(text) {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
