"""Times of first events: the first heart, gear, resource, deposit, alignment, death and goal of an episode.

An episode in which an event never happens has no time for it; the share of episodes in which it happens is shown next
to the median, which covers only those. Times are those of the samples: at most one interval late.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daf.mission_analysis.watching import Watched


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """An event over all episodes of one policy on one mission.

    times: per episode the step at which it first happened to any agent, None if it never did. median, quartiles: over
    the episodes in which it happened; None if it never did. interval: of the samples.
    """

    name: str
    stats: tuple[str, ...]
    times: tuple[int | None, ...]
    interval: int
    by_role: dict[str, int]

    @property
    def happened(self) -> int:
        """The number of episodes in which it happened."""
        return sum(time is not None for time in self.times)

    @property
    def median(self) -> float | None:
        known = [time for time in self.times if time is not None]
        return float(np.median(known)) if known else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        known = [time for time in self.times if time is not None]
        if not known:
            return None
        low, high = np.quantile(known, [0.25, 0.75])
        return float(low), float(high)


def key_events(watched: Sequence[Watched]) -> list[KeyEvent]:
    """The events that the mission knows, in the order in which they usually happen, absent ones last."""
    if not watched:
        return []
    found = []
    for name, stats in _events(watched[0]).items():
        times: list[int | None] = []
        by_role: dict[str, int] = {}
        for one in watched:
            firsts = [_first_of(one, agent, stats) for agent in one.agents]
            happened = [time for time in firsts if time is not None]
            times.append(min(happened) if happened else None)
            if happened:
                role = one.roles[firsts.index(min(happened))]
                by_role[role] = by_role.get(role, 0) + 1
        found.append(KeyEvent(name, tuple(stats), tuple(times), watched[0].samples.interval, by_role))
    return sorted(found, key=lambda event: (event.median is None, event.median or 0.0))


def _events(w: Watched) -> dict[str, list[str]]:
    rules = w.rules
    events: dict[str, list[str]] = {f"{gear} gear": [f"{gear}.gained"] for gear in rules.gear}
    if "heart" in rules.items:
        events["heart"] = ["heart.gained"]
    if rules.goods:
        events["resource gathered"] = [f"{good}.gained" for good in rules.goods]
        events["resource deposited"] = [f"{good}.lost" for good in rules.goods]
    if rules.junctions and "aligner" in rules.gear:
        events["junction aligned"] = ["junction.aligned_by_agent"]
    if "hp" in rules.items:
        events["death"] = ["death"]
    known = {name for names in events.values() for name in names}
    named = {"junction.scrambled_by_agent": "junction scrambled", "goal.reached": "goal reached"}
    for name in rules.events:
        if name not in known and not name.startswith("junction.scrambled_by_clips"):
            events[named.get(name, name)] = [name]
    return events


def _first_of(w: Watched, agent: int, stats: Sequence[str]) -> int | None:
    times = [time for time in (w.first(agent, name) for name in stats) if time is not None]
    return min(times) if times else None
