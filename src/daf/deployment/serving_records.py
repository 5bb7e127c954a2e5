"""What a policy server records: one line per episode, for monitoring and for people.

`served.jsonl` in the run directory of `daf serve` is a journal of `ServedEpisode`: which policy (name, release, hash of
the bundle), how the episode ended, its steps, and how long the server took for them, as percentiles and as counts that
can be summed over episodes. An episode is recorded when its connection closes. `read` returns them, `step_quantile`
gives a percentile over many.

Not recorded: returns, which the protocol does not show to the server; observations and actions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from daf.storage import journal

FILE = "served.jsonl"
RATIO = 1.05
"""Neighbouring counts are 5 % apart, so a percentile is exact to 2.5 %."""

EpisodeEnd = Literal["closed", "lost", "failed", "refused", "stopped"]
"""closed: by the client, as after an episode. lost: without a closing message. failed: the policy raised, or could not
be built. refused: the client broke the protocol or a limit. stopped: the server stopped, or the client was silent.
"""


class ServedEpisode(TypedDict):
    """A line. policy: its name. release: "NAME@VERSION" if a release was served. sha256: of the served bundle, None for
    a policy that is not a zip. identity: of the policy, as in episode keys.

    started_at: ISO 8601, UTC. seconds: from the connection to its end. prepare_ms: until the policy was ready, None if
    it never was. steps: batches answered. step_ms: from a batch's arrival to its response. counts: of these times, by
    the power of `RATIO` that is nearest to the milliseconds. error: why it failed or was refused.
    """

    policy: str
    release: str | None
    sha256: str | None
    identity: str
    started_at: str
    seconds: float
    agents: int
    end: EpisodeEnd
    error: str | None
    prepare_ms: float | None
    steps: int
    step_ms: dict[str, float]
    counts: dict[str, int]


def read(run: str | Path) -> list[ServedEpisode]:
    """The episodes in a run directory of `daf serve`, or in its journal. Raises `DamagedFileError`, `StorageError`."""
    path = Path(run)
    lines = journal.read(path / FILE if path.is_dir() else path, ServedEpisode)
    return list(lines)  # type: ignore[arg-type]


def error_rate(episodes: Sequence[ServedEpisode]) -> float | None:
    """The share of episodes that failed by the policy's fault; None without one."""
    if not episodes:
        return None
    return sum(episode["end"] == "failed" for episode in episodes) / len(episodes)


def step_quantile(episodes: Iterable[ServedEpisode], share: float) -> float | None:
    """The step time in milliseconds that `share` of all steps did not exceed; None without a step."""
    total: dict[int, int] = {}
    for episode in episodes:
        for place, count in episode["counts"].items():
            total[int(place)] = total.get(int(place), 0) + count
    return quantile(total, share)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The quantile of times that were counted by `place_of`."""
    wanted = share * sum(counts.values())
    seen = 0
    for place in sorted(counts):
        seen += counts[place]
        if seen >= wanted:
            return float(RATIO**place)
    return None


def place_of(milliseconds: float) -> int:
    """Where a time is counted."""
    return round(math.log(max(milliseconds, 1e-6)) / math.log(RATIO))
