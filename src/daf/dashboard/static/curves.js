// The curves of a run: as first sent, with later additions.

export class Curves {
  constructor() {
    this.series = new Map();
    this.evaluations = [];
    this.damaged = 0;
  }

  take(data) {
    if (data.restart) {
      this.series.clear();
      this.evaluations = [];
    }
    this.damaged = data.damaged;
    for (const [name, [steps, values]] of Object.entries(data.series)) {
      const known = this.series.get(name);
      if (known === undefined) {
        this.series.set(name, { x: steps, y: values });
      } else {
        known.x.push(...steps);
        known.y.push(...values);
      }
    }
    this.evaluations.push(...data.evaluations);
  }

  names() {
    return [...this.series.keys()];
  }

  // Evaluations as series with intervals: over all missions and, if there are several, by mission.
  evaluated() {
    const found = new Map();
    const add = (name, step, value) => {
      if (value === null || value === undefined || !Number.isFinite(value.mean)) return;
      if (!found.has(name)) found.set(name, { x: [], y: [], low: [], high: [] });
      const one = found.get(name);
      one.x.push(step);
      one.y.push(value.mean);
      one.low.push(value.low ?? value.mean);
      one.high.push(value.high ?? value.mean);
    };
    for (const record of this.evaluations) {
      add("evaluation/mean", record.step, record);
      const missions = Object.entries(record.missions ?? {});
      if (missions.length > 1) for (const [mission, value] of missions) add(`evaluation/${mission}`, record.step, value);
    }
    return found;
  }

  // Seconds at a step, interpolated between updates.
  clock() {
    const known = this.series.get("clock/seconds");
    return known === undefined ? null : step => between(known.x, known.y, step);
  }
}

export function between(x, y, at) {
  if (at <= x[0]) return y[0];
  let low = 0;
  let high = x.length - 1;
  if (at >= x[high]) return y[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle; else high = middle;
  }
  const share = x[high] === x[low] ? 0 : (at - x[low]) / (x[high] - x[low]);
  return y[low] + share * (y[high] - y[low]);
}

// Exponential moving average without the bias towards 0 at the start, corrected like Adam's moments.
export function smoothed(values, weight) {
  if (weight === 0) return values;
  let sum = 0;
  let norm = 0;
  return values.map(value => {
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}
