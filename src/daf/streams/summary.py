"""The result of reading logs: a `LogSummary` of plain DataFrames, made from an `Aggregate`.

Where training time is an axis, it is `total_steps` when every file has it and it grows from file to file, and the
number of records otherwise; `time_axis` says which. Bins on it have the edges that they were counted with, so their
counts and means are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.streams.aggregates import STUCK_RECORDS, Aggregate, SourceTally
from daf.streams.moments import Binned
from daf.streams.records import FIXED, STEP_REWARD, TOTAL
from daf.streams.sketch import RELATIVE_ERROR, Sketch

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class LogSummary:
    """What a log holds. All tables count every record, except `sample` and `coverage`, which are samples.

    `components`: per value column (`total`, `step_reward` and the reward components) n, mean, sd (n - 1), min, max,
    quantiles (each within `quantile_error` of its size), the mean at the end of stretches, and a component's share of
    the components' summed absolute means. `timeline`, `step_bins`: per bin [start, end) of training time, of `step`,
    and column: n, mean, sd. `visits`: per (map, x, y); `visits_over_time`: per slice [start, end) of training time too.
    `maps`: visits and cells per map. `sample`: uniform over all records of all files, without replacement. `coverage`:
    up to 100 records of each file. `files`, `damage`, `gaps` (missing steps, first to last), `oddities` (what
    validation found, and how often). `returns`: buckets of `total` at the last record of each stretch. `stretches`:
    their number, their lengths, and how many were stuck.
    """

    records: int
    sampling_ratio: float
    step_range: tuple[float, float] | None
    time_axis: str
    time_range: tuple[float, float]
    components: "pd.DataFrame"
    timeline: "pd.DataFrame"
    step_bins: "pd.DataFrame"
    visits: "pd.DataFrame"
    visits_over_time: "pd.DataFrame"
    maps: "pd.DataFrame"
    sample: "pd.DataFrame"
    coverage: "pd.DataFrame"
    returns: "pd.DataFrame"
    files: "pd.DataFrame"
    damage: "pd.DataFrame"
    gaps: "pd.DataFrame"
    oddities: "pd.DataFrame"
    stretches: dict[str, Any] = field(default_factory=dict)
    quantile_error: float = RELATIVE_ERROR
    gap_tolerance: int = 0

    @property
    def damaged_bytes(self) -> int:
        """Bytes that are no record."""
        return int(self.damage["length"].sum()) if len(self.damage) else 0

    @property
    def component_names(self) -> list[str]:
        """The reward components: the value columns without the sums."""
        return [name for name in self.components.index if name not in (TOTAL, STEP_REWARD)]

    def to_dict(self) -> dict[str, Any]:
        """The figures that fit on a page, ready for strict JSON: no samples, no bins."""
        return {
            "records": self.records,
            "sample": len(self.sample),
            "sampling_ratio": self.sampling_ratio,
            "step_range": list(self.step_range) if self.step_range else None,
            "time_axis": self.time_axis,
            "time_range": list(self.time_range),
            "quantile_relative_error": self.quantile_error,
            "components": {name: _plain(row) for name, row in self.components.to_dict("index").items()},
            "maps": [_plain(row) for row in self.maps.to_dict("records")],
            "stretches": self.stretches,
            "files": [_plain(row) for row in self.files.to_dict("records")],
            "damage": [_plain(row) for row in self.damage.to_dict("records")],
            "damaged_bytes": self.damaged_bytes,
            "gaps": [_plain(row) for row in self.gaps.to_dict("records")],
            "gap_tolerance": self.gap_tolerance,
            "oddities": {str(row["what"]): int(row["count"]) for row in self.oddities.to_dict("records")},
        }


def summarize(aggregate: Aggregate, order: Sequence[str] | None = None) -> LogSummary:
    """The summary of `aggregate`; `order` names its sources in the order of training (default: as they came)."""
    import pandas as pd

    names = [name for name in (order or aggregate.sources) if name in aggregate.sources]
    sources = [aggregate.sources[name] for name in names]
    axis, spans = _time_axis(sources)
    timeline = pd.concat(
        [_bins_frame(_placed(tally, span), tally.shares) for tally, span in zip(sources, spans, strict=True)]
        or [_bins_frame(np.zeros(1), Binned())],
        ignore_index=True,
    )
    visits = pd.DataFrame(aggregate.visits.table(), columns=["slice", "map", "x", "y", "visits"])
    visits.insert(0, "start", _slice_times(visits["slice"].to_numpy(), aggregate.visits.shift, sources, spans, 0))
    visits.insert(1, "end", _slice_times(visits.pop("slice").to_numpy(), aggregate.visits.shift, sources, spans, 1))
    cells = visits.groupby(["map", "x", "y"])["visits"].sum().reset_index()
    maps = cells.groupby("map")["visits"].agg(["sum", "size"]).reset_index()
    maps.columns = pd.Index(["map", "visits", "cells"])
    maps["share"] = maps["visits"] / max(int(maps["visits"].sum()), 1)
    gaps = pd.DataFrame(aggregate.spans.gaps(), columns=["first", "last"])
    gaps["steps"] = gaps["last"] - gaps["first"] + 1
    damage = pd.DataFrame(
        [(d.path, d.offset, d.length, d.reason) for tally in sources for d in tally.damage],
        columns=["file", "offset", "length", "reason"],
    )
    sample = _sample_frame(aggregate, dict(zip(names, spans, strict=True)))
    coverage = pd.concat(
        [_sample_frame(aggregate, dict(zip(names, spans, strict=True)), tally) for tally in sources] or [sample],
        ignore_index=True,
    )
    return LogSummary(
        records=aggregate.records,
        sampling_ratio=len(sample) / aggregate.records if aggregate.records else 0.0,
        step_range=aggregate.spans.range,
        time_axis=axis,
        time_range=(spans[0][0], spans[-1][1]) if spans else (0.0, 0.0),
        components=_components(aggregate),
        timeline=timeline,
        step_bins=_bins_frame(aggregate.steps.edges, aggregate.steps),
        visits=cells,
        visits_over_time=visits,
        maps=maps.sort_values(["visits", "map"], ascending=[False, True], ignore_index=True),
        sample=sample,
        coverage=coverage,
        returns=_buckets(aggregate.stretches.returns),
        files=_files(names, sources),
        damage=damage,
        gaps=gaps,
        oddities=_oddities(aggregate, sources),
        stretches=_stretches(aggregate),
        gap_tolerance=aggregate.spans.tolerance,
    )


def _time_axis(sources: Sequence[SourceTally]) -> tuple[str, list[tuple[float, float]]]:
    """What training time is measured in, and from where to where each source goes."""
    totals = [tally.last_total for tally in sources if tally.records]
    known = [total for total in totals if total is not None]
    if known and len(known) == len(totals) and all(a < b for a, b in pairwise(known)):
        spans: list[tuple[float, float]] = []
        first = next(tally for tally in sources if tally.records)
        at = max(0.0, known[0] - first.records)
        if first.clock and first.first_total is not None:
            at = min(at, first.first_total)
        for tally in sources:
            end = tally.last_total if tally.records and tally.last_total is not None else at
            spans.append((at, end))
            at = end
        return "total_steps", spans
    edges = np.cumsum([0, *(tally.records for tally in sources)]).astype(np.float64)
    return "records", [(float(a), float(b)) for a, b in pairwise(edges.tolist())]


def _slice_times(
    slices: Any, shift: int, sources: Sequence[SourceTally], spans: Sequence[tuple[float, float]], side: int
) -> Any:
    """Where in training time each of the visit slices begins (`side` 0) or ends (1)."""
    most = int(slices.max()) + 1 if len(slices) else 0
    times = np.full(most, np.inf if side == 0 else -np.inf)
    for tally, (low, high) in zip(sources, spans, strict=True):
        first, count = tally.slices
        for number in range(first, min(first + count, most << shift)):
            time, index = low + (number - first + side) / count * (high - low), number >> shift
            times[index] = min(times[index], time) if side == 0 else max(times[index], time)
    return times[slices]


def _placed(tally: SourceTally, span: tuple[float, float]) -> Any:
    """The edges of a source's bins on the axis of training time."""
    edges, (low, high) = tally.shares.edges, span
    if not tally.clock:
        return low + edges * (high - low)
    first, last = tally.first_total, tally.last_total
    if first is None or last is None or last <= first:
        return edges
    if high == last and low <= first:
        return edges
    return low + (edges - first) / (last - first) * (high - low)


def _bins_frame(edges: Any, binned: Binned) -> "pd.DataFrame":
    """One row per bin and column that was counted in it."""
    import pandas as pd

    cells, columns = binned.cells, np.array(binned.columns, dtype=object)
    where, column = np.nonzero(cells.n.T)
    n = cells.n[column, where]
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.where(n > 1, np.sqrt(cells.m2[column, where] / (n - 1)), np.nan)
    return pd.DataFrame(
        {
            "start": edges[where],
            "end": edges[where + 1],
            "column": columns[column] if len(column) else np.empty(0, dtype=object),
            "n": n.astype(np.int64),
            "mean": cells.mean[column, where],
            "sd": sd,
        }
    )


def _components(aggregate: Aggregate) -> "pd.DataFrame":
    import pandas as pd

    shares = [tally.shares for tally in aggregate.sources.values()]
    names = sorted(aggregate.extrema, key=lambda name: (name not in (TOTAL, STEP_REWARD), name != TOTAL))
    ends = aggregate.stretches
    rows: list[dict[str, float]] = []
    for name in names:
        total = Binned().cells.widened(1).padded(0, 1)
        for binned in shares:
            if name in binned.columns:
                row = binned.columns.index(name)
                one = type(total)(
                    *(part[row : row + 1] for part in (binned.cells.n, binned.cells.mean, binned.cells.m2))
                )
                total = total.merge(one.total())
        n, mean, m2 = float(total.n[0, 0]), float(total.mean[0, 0]), float(total.m2[0, 0])
        low, high = aggregate.extrema[name]
        quantiles = np.clip(aggregate.sketches[name].quantiles(np.array(QUANTILES)), low, high)
        rows.append(
            {
                "n": n,
                "mean": mean,
                "sd": float(np.sqrt(m2 / (n - 1))) if n > 1 else float("nan"),
                "min": low,
                "max": high,
                **{f"q{round(q * 100):02d}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)},
                "mean_at_end": float(ends.last.mean[ends.names.index(name), 0]) if name in ends.names else float("nan"),
            }
        )
    frame = pd.DataFrame(rows, index=pd.Index(names, name="column"))
    if len(frame):
        frame["n"] = frame["n"].astype(np.int64)
        parts = ~frame.index.isin([TOTAL, STEP_REWARD])
        size = frame["mean"].abs().where(parts)
        frame["share"] = size / size.sum() if size.sum() > 0 else float("nan")
    return frame


def _stretches(aggregate: Aggregate) -> dict[str, Any]:
    tally = aggregate.stretches
    lengths = tally.lengths.quantiles(np.array([0.05, 0.5, 0.95])).tolist() if tally.n else [None] * 3
    returns = tally.returns.quantiles(np.array(QUANTILES)).tolist() if tally.returns.counts else None
    return {
        "n": tally.n,
        "stuck": tally.stuck,
        "stuck_after_records": STUCK_RECORDS,
        "length_q05": lengths[0],
        "length_q50": lengths[1],
        "length_q95": lengths[2],
        "returns": {f"q{round(q * 100):02d}": v for q, v in zip(QUANTILES, returns, strict=True)} if returns else None,
        "mean_return": float(tally.last.mean[tally.names.index(TOTAL), 0]) if TOTAL in tally.names else None,
    }


def _buckets(sketch: Sketch) -> "pd.DataFrame":
    import pandas as pd

    low, high, counts = sketch.buckets()
    return pd.DataFrame({"low": low, "high": high, "count": counts})


def _sample_frame(
    aggregate: Aggregate, spans: dict[str, tuple[float, float]], tally: SourceTally | None = None
) -> "pd.DataFrame":
    import pandas as pd

    sample = aggregate.sample if tally is None else tally.coverage
    sample.sort()
    frame = pd.DataFrame(dict(zip(sample.columns, sample.rows, strict=True)))
    names = np.array(sample.names, dtype=object)
    frame.insert(0, "file", names[sample.sources] if len(names) else np.empty(0, dtype=object))
    bounds = np.array([spans.get(name, (np.nan, np.nan)) for name in sample.names]).reshape(-1, 2)
    if len(frame):
        low, high = bounds[sample.sources].T
        frame.insert(2, "time", low + frame["share"].to_numpy() * (high - low))
        frame["ordinal"] = frame["ordinal"].astype(np.int64)
    return frame.drop(columns=[name for name in FIXED if name in frame and frame[name].isna().all() and len(frame)])


def _files(names: Sequence[str], sources: Sequence[SourceTally]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "file": name,
                "records": tally.records,
                "nested": tally.kinds["nested"],
                "flat": tally.kinds["flat"],
                "bytes": tally.bytes_read,
                "first_total": tally.first_total,
                "last_total": tally.last_total,
                "damaged_stretches": len(tally.damage),
                "damaged_bytes": sum(damage.length for damage in tally.damage),
            }
            for name, tally in zip(names, sources, strict=True)
        ]
    )


def _oddities(aggregate: Aggregate, sources: Sequence[SourceTally]) -> "pd.DataFrame":
    import pandas as pd

    counts = dict(aggregate.oddities)
    if aggregate.visits.misplaced:
        counts["position not a whole number from -32768 to 32767"] = aggregate.visits.misplaced
    for tally in sources:
        for what, n in tally.fields.items():
            counts[what] = counts.get(what, 0) + n
    totals = [tally.last_total for tally in sources if tally.last_total is not None]
    falls = sum(b < a for a, b in pairwise(totals))
    if falls:
        counts["total_steps falls from one file to the next"] = falls
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return pd.DataFrame(rows, columns=["what", "count"])


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """`row` with Python's own numbers, NaN and the infinities as `None`."""
    plain: dict[str, Any] = {}
    for key, value in row.items():
        plain[str(key)] = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain[str(key)], float) and not np.isfinite(plain[str(key)]):
            plain[str(key)] = None
    return plain
