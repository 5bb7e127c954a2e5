"""Results of a policy for its bundle's manifest, with the keys of the episodes that they come from.

Only results of the packed policy itself count: a checkpoint's evaluation lies in the checkpoint, and a run's episodes
are matched by the policy's identity, never by its name.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from daf.deployment._manifest import MissionResults, PolicyResults
from daf.episodes.cache import EpisodeCache
from daf.episodes.record import DamagedRecord, parse
from daf.episodes.results_file import EpisodeEntry, read_results
from daf.errors import PackagingError, quoted
from daf.output_manager.kinds import run_of
from daf.storage.reading import read_bytes, read_object

CHECKPOINT_FILE = "evaluation.json"


class _Mission(TypedDict):
    mean: float | None
    n: int
    failed: int


class _Evaluation(TypedDict):
    """The fields that are read from a checkpoint's evaluation. keys: by mission, in runs that recorded them."""

    missions: dict[str, _Mission]
    seed: int
    keys: NotRequired[dict[str, list[str]]]


def of_checkpoint(folder: Path) -> list[PolicyResults]:
    """The evaluation of a checkpoint during its training, if there was one. Raises `DamagedFileError`."""
    found = read_object(folder / CHECKPOINT_FILE, _Evaluation)
    if found is None:
        return []
    keys = found.get("keys", {})
    missions: list[MissionResults] = [
        {"mission": name, "mean": one["mean"], "n": one["n"], "failed": one["failed"], "keys": keys.get(name)}
        for name, one in sorted(found["missions"].items())
    ]
    return [{"source": "training", "seed": found["seed"], "missions": missions}]


def of_run(run: str | Path, identity: str, *, base_dir: str | Path | None) -> PolicyResults:
    """The episodes of a run that the policy with this identity played alone. Raises `PackagingError`."""
    folder = run_of(run, base_dir).path
    results = read_results(folder)
    if results is None or not results.get("episodes"):
        raise PackagingError(f"{folder} holds no episodes. --results takes a run of `daf evaluate` or `daf compare`.")
    by_mission, names = rows_of(folder, results["episodes"], results.get("cache", ""), identity)
    if not by_mission:
        raise PackagingError(
            f"{folder}: no contender of this run is the packed policy: {', '.join(map(quoted, names))} differ "
            "in class, arguments, weights or code. Evaluate the policy as it is now, and give that run."
        )
    return {"source": "run", "seed": None, "missions": [_score(*item) for item in sorted(by_mission.items())]}


def rows_of(
    folder: Path, rows: Sequence[EpisodeEntry], cache: str, identity: str, *, label: str | None = None
) -> tuple[dict[str, list[EpisodeEntry]], list[str]]:
    """The episodes that the policy with this identity played alone, by mission; and the contenders of the run.

    rows, cache: of the results of the run in `folder`. A failed episode counts if its contender finished another one,
    or has the name `label`: a policy that never finished one left no record to identify it by.
    """
    store = EpisodeCache(Path(cache))
    ours = {row["contender"]: row["contender"] == label for row in rows}
    asked: set[str] = set()
    for row in rows:
        if row["contender"] not in asked and row["status"] == "ok":
            asked.add(row["contender"])
            ours[row["contender"]] = _identities(folder, store, row["key"]) == [identity]
    by_mission: dict[str, list[EpisodeEntry]] = {}
    for row in rows:
        if ours[row["contender"]]:
            by_mission.setdefault(row["mission"], []).append(row)
    return by_mission, sorted(ours)


def _identities(folder: Path, cache: EpisodeCache, key: str) -> list[str] | None:
    """The identities of the policies in an episode's record; None if there is no intact record."""
    for place in (folder / "records" / f"{key}.json", cache.path(key)):
        data = read_bytes(place)
        if data is not None:
            try:
                return [policy["identity"] for policy in parse(data)["spec"]["policies"]]
            except DamagedRecord:
                continue
    return None


def _score(mission: str, rows: Iterable[EpisodeEntry]) -> MissionResults:
    listed = list(rows)
    returns = [sum(row["rewards"]) / len(row["rewards"]) for row in listed if row["rewards"]]
    return {
        "mission": mission,
        "mean": sum(returns) / len(returns) if returns else None,
        "n": len(returns),
        "failed": len(listed) - len(returns),
        "keys": [row["key"] for row in listed],
    }
