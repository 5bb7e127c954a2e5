"""The tables of a log's summary, each made from what was counted."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.streams._aggregates import JUMPS, Aggregate
from daf.streams._moments import Binned
from daf.streams._sketch import Sketch
from daf.streams._tallies import STUCK_RECORDS, SourceTally
from daf.streams.records import FIXED, STEP_REWARD, TOTAL

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def bins_frame(edges: Any, binned: Binned) -> "pd.DataFrame":
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


def components(aggregate: Aggregate) -> "pd.DataFrame":
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
    columns = ["n", "mean", "sd", "min", "max", *(f"q{round(q * 100):02d}" for q in QUANTILES), "mean_at_end", "share"]
    frame = pd.DataFrame(rows, index=pd.Index(names, name="column"), columns=columns)
    if len(frame):
        frame["n"] = frame["n"].astype(np.int64)
        parts = ~frame.index.isin([TOTAL, STEP_REWARD])
        size = frame["mean"].abs().where(parts)
        frame["share"] = size / size.sum() if size.sum() > 0 else float("nan")
    return frame


def stretches(aggregate: Aggregate) -> dict[str, Any]:
    tally = aggregate.stretches
    lengths = tally.lengths.quantiles(np.array([0.05, 0.5, 0.95])).tolist() if tally.n else [None] * 3
    returns = tally.returns.quantiles(np.array(QUANTILES)).tolist() if tally.returns.n else None
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


def buckets(sketch: Sketch) -> "pd.DataFrame":
    import pandas as pd

    low, high, counts = sketch.buckets()
    return pd.DataFrame({"low": low, "high": high, "count": counts})


def sample_frame(
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


def files(names: Sequence[str], sources: Sequence[SourceTally]) -> "pd.DataFrame":
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


def oddities(aggregate: Aggregate, sources: Sequence[SourceTally], *, regular: bool) -> "pd.DataFrame":
    """The findings of validation; if sampling is `regular`, jumps of `step` are not among them."""
    import pandas as pd

    counts = {what: n for what, n in aggregate.oddities.items() if not (regular and what == JUMPS)}
    if aggregate.visits.misplaced:
        counts["position not a whole number from -32768 to 32767"] = aggregate.visits.misplaced
    for tally in sources:
        for what, n in tally.fields.items():
            counts[what] = counts.get(what, 0) + n
    totals = [tally.last_total for tally in sources if tally.last_total is not None]
    falls = sum(b < a for a, b in pairwise(totals))
    if falls:
        counts["total_steps falls from one file to the next"] = falls
    stays = sum(b == a for a, b in pairwise(totals))
    if stays:
        counts["total_steps stays from one file to the next, so time is counted in records"] = stays
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return pd.DataFrame(rows, columns=["what", "count"])


def plain(row: dict[Any, Any]) -> dict[str, Any]:
    """`row` with Python's own numbers, NaN and the infinities as `None`."""
    plain: dict[str, Any] = {}
    for key, value in row.items():
        plain[str(key)] = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain[str(key)], float) and not np.isfinite(plain[str(key)]):
            plain[str(key)] = None
    return plain
