"""`results.json` of a run that played episodes, as a checked object.

`read_results(run_dir)` checks the type of every field that DAF reads, if it is present. Code that analyses a run again
requests the fields that it needs: `read_results(run_dir, EvaluationResults)`. Other fields are kept as they are.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, overload

import msgspec

from daf.storage.reading import read_object

FILE = "results.json"
_Index = Annotated[int, msgspec.Meta(ge=0)]
Interval = tuple[float, float]


class FailureRow(TypedDict):
    """Why an episode has no result."""

    kind: str
    message: str


class EpisodeEntry(TypedDict):
    """An episode as `--json` prints it. replay: path of the file."""

    mission: str
    seed: int
    index: _Index
    contender: str
    rewards: list[float] | None
    status: Literal["ok", "failed"]
    key: str
    replay: str | None
    failure: FailureRow | None


class RankingRow(TypedDict):
    """A policy's mean with its interval."""

    policy: str
    rank: int
    mean: float
    ci: Interval | None
    iqm: float
    iqm_ci: Interval | None
    n: int
    method: Literal["studentized", "bca", "percentile", "student"] | None
    caveat: str


class PairRow(TypedDict):
    """Two policies compared; mission is None for the comparison over all missions."""

    a: str
    b: str
    mission: str | None
    sentence: str
    verdict: str


class Summary(TypedDict):
    """Summary of the episodes. missions (of evaluations): rows by mission."""

    seconds: float
    notes: list[str]


class EvaluationSummary(Summary, total=False):
    """Only in evaluations."""

    missions: dict[str, list[RankingRow]]


class ResultsFile(TypedDict, total=False):
    """The fields that are read from any results."""

    title: str
    status: str
    cache: str
    settings: dict[str, Any]
    episodes: list[EpisodeEntry]
    summary: EvaluationSummary
    ranking: list[RankingRow]
    pairs: list[PairRow]
    until_decided: dict[str, Any]


class EvaluationResults(TypedDict):
    """What analysing an evaluation or comparison again needs."""

    title: str
    cache: str
    settings: dict[str, Any]
    episodes: list[EpisodeEntry]
    summary: EvaluationSummary


class _Budget(TypedDict):
    precision: float | None


class ScoreResults(TypedDict):
    """What analysing a score again needs."""

    title: str
    cache: str
    candidate: str
    pool: Annotated[list[str], msgspec.Meta(min_length=1)]
    as_pickup: bool
    budget: _Budget | None
    episodes: list[EpisodeEntry]
    summary: Summary


class CrossplayResults(TypedDict):
    """What analysing a cross-play again needs."""

    title: str
    cache: str
    policies: list[str]
    mixes: str
    episodes: list[EpisodeEntry]
    summary: Summary


@overload
def read_results(run_dir: Path) -> ResultsFile | None: ...
@overload
def read_results[T](run_dir: Path, kind: type[T]) -> T | None: ...
def read_results(run_dir: Path, kind: type[Any] = ResultsFile) -> Any:
    """The results of a run directory, None where there are none. Raises `DamagedFileError`, `StorageError`."""
    return read_object(run_dir / FILE, kind)
