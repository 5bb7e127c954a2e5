"""Runs side by side: what differs in their configurations, and how their evaluations compare.

Episodes of different runs are paired if mission (by content, whatever its name), seed and index are the same: then all
contenders played the same episodes, and `daf.stats` tests the differences as within one comparison. Evaluations during
training keep only means and intervals, so these are shown side by side without a verdict.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daf.dashboard._json_files import JsonFiles
from daf.dashboard._settings_files import comparable
from daf.episodes.plan_file import read_plan
from daf.episodes.results_file import EpisodeEntry, read_results
from daf.errors import DamagedFileError, DataError, StorageError
from daf.evaluation.result import pair_data, summary_data
from daf.stats.summaries import summarise
from daf.stats.verdicts import compare_pairs

MOST_CONTENDERS = 12
RESAMPLES = 2000
ABSENT = {"absent": True}

Block = tuple[str, int, int]
"""Mission (its config's hash if known), seed, index: one episode that several contenders may have played."""


def compared(runs: Mapping[str, Path], files: JsonFiles) -> dict[str, Any]:
    """Runs (directory by label) side by side, as JSON data.

    {"config": [{"name", "values"}], "evaluation": {"blocks", "missions", "ranking", "pairs", "note"}}
    """
    configs = [dict(_leaves(comparable(folder, files))) for folder in runs.values()]
    return {"config": differing(configs), "evaluation": _evaluation(runs, files)}


def differing(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The settings that differ between the runs, by name, with each run's value or `ABSENT`."""
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [{"name": name, "values": [config.get(name, ABSENT) for config in configs]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _evaluation(runs: Mapping[str, Path], files: JsonFiles) -> dict[str, Any]:
    contenders: dict[str, dict[Block, float]] = {}
    called: dict[str, str] = {}
    damaged: list[str] = []
    for label, folder in runs.items():
        try:
            results, plan = read_results(folder) or {}, read_plan(folder)
        except (DamagedFileError, StorageError) as error:
            damaged.append(str(error))
            continue
        contents = {} if plan is None else {mission.name: mission.config_hash for mission in plan.missions}
        for mission, content in contents.items():
            called.setdefault(content, mission)
        for name, scores in _scores(results.get("episodes", []), contents).items():
            contenders[f"{name} · {label}"] = scores
    empty: dict[str, Any] = {"blocks": 0, "missions": [], "ranking": [], "pairs": [], "note": " ".join(damaged) or None}
    if len(contenders) < 2:
        return empty
    if len(contenders) > MOST_CONTENDERS:
        return empty | {"note": f"at most {MOST_CONTENDERS} policies can be compared, got {len(contenders)}."}
    everywhere = set.intersection(*(set(scores) for scores in contenders.values()))
    shared = sorted(everywhere, key=lambda block: (called.get(block[0], block[0]), *block))
    if not shared:
        return empty | {
            "note": "These runs have no episode (mission, seed, index) in common, so their policies are not compared."
        }
    names, missions = list(contenders), list(dict.fromkeys(mission for mission, _, _ in shared))
    table = np.array([[contenders[name][block] for block in shared] for name in names], np.float64)
    strata = np.array([missions.index(mission) for mission, _, _ in shared])
    missions = [called.get(mission, mission) for mission in missions]
    try:
        ranking = summarise(names, table, strata, resamples=RESAMPLES)
        pairs = compare_pairs(names, table, strata, missions, resamples=RESAMPLES)
    except DataError as error:
        return empty | {"note": str(error)}
    return {
        "blocks": len(shared),
        "missions": missions,
        "ranking": [summary_data(row) for row in ranking],
        "pairs": [pair_data(pair) for pair in pairs if pair.stratum_name is None],
        "note": " ".join(damaged) or None,
    }


def _scores(episodes: Sequence[EpisodeEntry], contents: Mapping[str, str]) -> dict[str, dict[Block, float]]:
    """Mean reward of all agents by contender and block, of the episodes that have a result."""
    found: dict[str, dict[Block, float]] = {}
    for episode in episodes:
        rewards = episode["rewards"]
        if episode["status"] != "ok" or not rewards:
            continue
        block = (contents.get(episode["mission"], episode["mission"]), episode["seed"], episode["index"])
        found.setdefault(episode["contender"], {})[block] = sum(rewards) / len(rewards)
    return found
