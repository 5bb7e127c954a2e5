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

from daf.streams import _summary_tables as summary_tables
from daf.streams._aggregates import Aggregate
from daf.streams._moments import Binned
from daf.streams._sketch import RELATIVE_ERROR
from daf.streams._tallies import SourceTally
from daf.streams.records import STEP_REWARD, TOTAL

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LogSummary:
    """The content of a log. All tables count every record, except `sample` and `coverage`, which are samples.

    `components`: per value column (`total`, `step_reward` and the reward components) n, mean, sd (n - 1), min, max,
    quantiles (each within `quantile_error` of its size), the mean at the end of stretches, and a component's share of
    the components' summed absolute means. `timeline`, `step_bins`: per bin [start, end) of training time, of `step`,
    and column: n, mean, sd. `visits`: per (map, x, y); `visits_over_time`: per slice [start, end) of training time too.
    `maps`: visits and cells per map. `sample`: uniform over all records of all files, without replacement. `coverage`:
    up to 100 records of each file. `files`, `damage`, `gaps` (missing steps, first to last), `oddities` (what
    validation found, and how often). `stride`: the regular number of steps from record to record; the jumps and gaps
    that follow from it are not reported. `returns`: buckets of `total` at the last record of each
    stretch. `stretches`: their number, their lengths, and how many were stuck.
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
    stride: int = 1

    @property
    def damaged_bytes(self) -> int:
        """Bytes that are not part of a record."""
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
            "components": {name: summary_tables.plain(row) for name, row in self.components.to_dict("index").items()},
            "maps": [summary_tables.plain(row) for row in self.maps.to_dict("records")],
            "stretches": self.stretches,
            "files": [summary_tables.plain(row) for row in self.files.to_dict("records")],
            "damage": [summary_tables.plain(row) for row in self.damage.to_dict("records")],
            "damaged_bytes": self.damaged_bytes,
            "gaps": [summary_tables.plain(row) for row in self.gaps.to_dict("records")],
            "gap_tolerance": self.gap_tolerance,
            "stride": self.stride,
            "oddities": {str(row["what"]): int(row["count"]) for row in self.oddities.to_dict("records")},
        }


def summarize(aggregate: Aggregate, order: Sequence[str] | None = None) -> LogSummary:
    """The summary of `aggregate`; `order` names its sources in the order of training (default: as they came)."""
    import pandas as pd

    names = [name for name in (order or aggregate.sources) if name in aggregate.sources]
    sources = [aggregate.sources[name] for name in names]
    axis, spans = _time_axis(sources)
    timeline = pd.concat(
        [
            summary_tables.bins_frame(_placed(tally, span), tally.shares)
            for tally, span in zip(sources, spans, strict=True)
        ]
        or [summary_tables.bins_frame(np.zeros(1), Binned())],
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
    stride = aggregate.rises.stride(aggregate.stretches.n)
    gaps = gaps[gaps["steps"] >= stride].reset_index(drop=True)
    damage = pd.DataFrame(
        [(d.path, d.offset, d.length, d.reason) for tally in sources for d in tally.damage],
        columns=["file", "offset", "length", "reason"],
    )
    sample = summary_tables.sample_frame(aggregate, dict(zip(names, spans, strict=True)))
    coverage = pd.concat(
        [summary_tables.sample_frame(aggregate, dict(zip(names, spans, strict=True)), tally) for tally in sources]
        or [sample],
        ignore_index=True,
    )
    return LogSummary(
        records=aggregate.records,
        sampling_ratio=len(sample) / aggregate.records if aggregate.records else 0.0,
        step_range=aggregate.spans.range,
        time_axis=axis,
        time_range=(spans[0][0], spans[-1][1]) if spans else (0.0, 0.0),
        components=summary_tables.components(aggregate),
        timeline=timeline,
        step_bins=summary_tables.bins_frame(aggregate.steps.edges, aggregate.steps),
        visits=cells,
        visits_over_time=visits,
        maps=maps.sort_values(["visits", "map"], ascending=[False, True], ignore_index=True),
        sample=sample,
        coverage=coverage,
        returns=summary_tables.buckets(aggregate.stretches.returns),
        files=summary_tables.files(names, sources),
        damage=damage,
        gaps=gaps,
        oddities=summary_tables.oddities(aggregate, sources, regular=stride > 1),
        stretches=summary_tables.stretches(aggregate),
        gap_tolerance=aggregate.spans.tolerance,
        stride=stride,
    )


def _time_axis(sources: Sequence[SourceTally]) -> tuple[str, list[tuple[float, float]]]:
    """The unit of training time, and the range of each source."""
    totals = [tally.last_total for tally in sources if tally.records]
    known = [total for total in totals if total is not None]
    if known and len(known) == len(totals) and all(a < b for a, b in pairwise(known)):
        spans: list[tuple[float, float]] = []
        first = next(tally for tally in sources if tally.records)
        at = _beginning(sources, known)
        if first.clock and first.first_total is not None:
            at = min(at, first.first_total)
        for tally in sources:
            end = tally.last_total if tally.records and tally.last_total is not None else at
            spans.append((at, end))
            at = end
        return "total_steps", spans
    edges = np.cumsum([0, *(tally.records for tally in sources)]).astype(np.float64)
    return "records", [(float(a), float(b)) for a, b in pairwise(edges.tolist())]


def _beginning(sources: Sequence[SourceTally], known: Sequence[float]) -> float:
    """Where the first source starts, whose end is `known[0]`.

    For a run's samples: at 0, unless the second source indicates that the records go back no further than half a
    source's length from there (the run's first files are not among these). Else one step per record, or as in the
    second source.
    """
    present = [tally for tally in sources if tally.records]
    first = present[0].records
    if len(present) < 2:
        return 0.0 if present[0].sampled else max(0.0, known[0] - first)
    length = first * max(1.0, (known[1] - known[0]) / present[1].records)
    start = max(0.0, known[0] - length)
    return 0.0 if present[0].sampled and start < length / 2 else start


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
