"""Suites of missions, versioned: the same name and version always means the same missions and references.

A change of missions or references makes a new version; scores of different versions are never ranked together. The
reference of a mission is the best policy that DAF knows there, found by measuring scripted policies (eight episodes
each on arena and the tutorials, two on the others, seeds from 1000 on; easy_large_hearts was not measured and has the
reference of its smaller sister). A policy that beats it scores above 1, and is a reason for a new version. `standard`
was measured with CoGames' policies and `cartographer`, the other suites with CoGames' policies only.
"""

from dataclasses import dataclass

from daf.errors import UsageError, unknown

RANDOM = "random"
"""The policy that scores 0 on every mission."""


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """A mission and the policy that scores 1 on it."""

    mission: str
    best: str


@dataclass(frozen=True, slots=True)
class Suite:
    """Missions that count the same. left_out: upstream's missions of this kind that the suite lacks, with the
    reason.
    """

    name: str
    version: int
    description: str
    entries: tuple[SuiteEntry, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def suite(name: str) -> Suite:
    """The suite `name`. Raises `UsageError` with the nearest names."""
    if name not in SUITES:
        raise UsageError(unknown("benchmark suite", name, SUITES))
    return SUITES[name]


_ALIGNERS_BEST = ("easy_medium_hearts", "easy_large_hearts")
_SAME_REWARD = "every policy gets the same reward"
_SOLVERS = {
    "memory_mystery_path": "substrate_memory",
    "exploration_sparse_search": "substrate_exploration",
    "planning_unlock_chain": "substrate_planning",
}

SUITES: dict[str, Suite] = {
    found.name: found
    for found in (
        Suite(
            "standard",
            2,
            "The standard game, and its four roles",
            (
                SuiteEntry("arena", "cartographer"),
                SuiteEntry("machina_1", "cartographer"),
                SuiteEntry("tutorial.aligner", "cartographer"),
                SuiteEntry("tutorial.miner", "cartographer"),
                SuiteEntry("tutorial.scout", "scout"),
                SuiteEntry("tutorial.scrambler", "scrambler"),
            ),
            (
                ("tutorial", "it has no reward"),
                ("empty", "it has no reward"),
                ("machina_1.clips", "it is identical to machina_1"),
            ),
        ),
        Suite("integrated", 1, "Upstream's integrated evals", (SuiteEntry("energy_starved", "aligner"),)),
        Suite(
            "spanning",
            1,
            "Upstream's spanning evals",
            tuple(
                SuiteEntry(name, "aligner" if name in _ALIGNERS_BEST else "starter")
                for name in (
                    "distant_resources_easy",
                    "distant_resources_standard",
                    "distant_resources_hard",
                    "quadrant_buildings_easy",
                    "quadrant_buildings_standard",
                    "quadrant_buildings_hard",
                    "easy_small_hearts",
                    "easy_medium_hearts",
                    "easy_large_hearts",
                )
            ),
            (("easy_hearts_training", "it needs 8 cogs on 4 spawn points, and an object that no longer exists"),),
        ),
        Suite(
            "diagnostic",
            1,
            "Memory, exploration and planning; scripted solvers exist",
            tuple(
                SuiteEntry(f"{task}_{level}", solver)
                for task, solver in _SOLVERS.items()
                for level in ("easy", "medium", "hard")
            ),
            (("diagnostic_*", _SAME_REWARD),),
        ),
    )
}
"""The suites by name."""
