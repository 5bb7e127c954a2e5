"""The effects of a mission's variants on a policy: data, summary and JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

    from daf.playing.run import PlayedRun

FORMAT = "daf-variants-1"
Interval = tuple[float, float]


@dataclass(frozen=True)
class VariantResult:
    """One variant, or a pair, against the base mission on the same seeds.

    base, mean: of the metric without and with the change. difference: with minus without. ci: 95 % interval by
    inverting the sign-flip test, None if there are too few blocks. p_adjusted: Holm over all variants and pairs that
    change the mission; None, like p, for one that changes nothing in it. more, less, same: number of episodes in which
    the change raised, lowered or left the metric. together, together_ci: of a pair, by how much its effect differs from
    the sum of the effects of its two variants. verdict: raises, lowers, identical, undecided, too few; or refused, with
    the reason, if nothing was played or nothing finished, in which case all numbers are None.
    """

    variants: tuple[str, ...]
    mission: str
    verdict: str
    sentence: str
    base: float | None = None
    mean: float | None = None
    difference: float | None = None
    ci: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None
    effect_size: float | None = None
    n: int = 0
    more: int = 0
    less: int = 0
    same: int = 0
    together: float | None = None
    together_ci: Interval | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        return "+".join(self.variants)

    @property
    def refused(self) -> bool:
        return self.verdict == "refused"


@dataclass(frozen=True)
class VariantSweepResult:
    """A policy across the variants of a mission.

    rows: single variants first, then pairs, in the order given. base_mean: None if no episode of the base mission
    finished. notes: for the reader. status: ok, or failed if an episode has no result. run: what was played; None in a
    result that was read from its file.
    """

    policy: str
    mission: str
    metric: str
    episodes: int
    seed: int
    alpha: float
    base_mean: float | None
    rows: tuple[VariantResult, ...]
    notes: tuple[str, ...]
    status: str
    run_id: str
    run_dir: Path
    run: "PlayedRun | None" = field(default=None, repr=False, compare=False)

    @property
    def played(self) -> tuple[VariantResult, ...]:
        """The rows with numbers."""
        return tuple(row for row in self.rows if not row.refused)

    def to_data(self) -> dict[str, Any]:
        """Everything but the run as JSON data."""
        data: dict[str, Any] = jsonable({"format": FORMAT} | asdict(replace(self, run=None)))
        del data["run"]
        return data

    def results_data(self) -> dict[str, Any]:
        """The output of `--json`: `to_data`, with the played episodes in plan order and their summary."""
        assert self.run is not None, "only a result that was played has episodes"
        data: dict[str, Any] = jsonable(
            self.to_data() | {"episodes": self.run.episodes_data(), "summary": self.run.counts_data(self.notes)}
        )
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Build a result from the output of `to_data`."""
        rows = tuple(
            VariantResult(
                **row
                | {
                    "variants": tuple(row["variants"]),
                    "ci": _pair(row["ci"]),
                    "together_ci": _pair(row["together_ci"]),
                }
            )
            for row in data["rows"]
        )
        given = {name: value for name, value in data.items() if name != "format"}
        return cls(**given | {"rows": rows, "notes": tuple(data["notes"]), "run_dir": Path(data["run_dir"])})

    def save_json(self, path: str | Path) -> Path:
        """Write the result as JSON, atomically. Raises `StorageError`."""
        write_json(Path(path), self.to_data())
        return Path(path)

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print a sentence for each variant; nothing without a console."""
        if console is None:
            return

        for text in (*(row.sentence for row in self.rows), *self.notes):
            console.print(terminal_text(text))


def _pair(bounds: Any) -> Interval | None:
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))
