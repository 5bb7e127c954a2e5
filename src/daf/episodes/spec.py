"""What an episode is, completely: from an `EpisodeSpec` follows its result, and from its content its key.

The key is a hash of everything that determines the result, and of nothing else: the mission's whole config, each
policy's identity (class, arguments, weights and code by content), the assignment, the seed, the recorded series, and
the versions that played. Names are not part of it; two names for one thing share their records.
"""

import functools
import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

from daf.game.outcome import SLOW_STEP_MS, SeriesRequest
from daf.game.policy import Policy
from daf.storage.hashing import hash_json

RECORD_FORMAT = 1
"""Part of every key. Raise it when the meaning of a record changes."""


@dataclass(frozen=True, slots=True)
class EpisodeSpec:
    """One episode to play.

    mission: its name, for people; config_hash identifies it. policies: those that play, at least one; assignment: for
    each agent the index of its policy. seed: of the simulator, and of the map if the config leaves it open. max_steps:
    the step limit in the config. device, threads: where networks run; without a network they don't count.
    enforce_timeouts: enforced limit of one step, None for none. batched: networks are called for many agents at once,
    which draws their actions from other random numbers. series: what to sample over time. known_key: the key
    of an episode that is read back, which other versions may have played.
    """

    mission: str
    config_hash: str
    policies: tuple[Policy, ...]
    assignment: tuple[int, ...]
    seed: int
    max_steps: int
    device: str = "cpu"
    threads: int = 1
    enforce_timeouts: int | None = None
    batched: bool = False
    slow_step_ms: float = field(default=SLOW_STEP_MS, compare=False)
    series: SeriesRequest | None = None
    known_key: str | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """Hash of everything that determines the result; the record's name in the cache."""
        return self.known_key or hash_json(self.content())

    def content(self) -> dict[str, Any]:
        """The hashed content, as JSON values."""
        content: dict[str, Any] = {
            "format": RECORD_FORMAT,
            "versions": _versions(),
            "config": self.config_hash,
            "policies": [policy.identity for policy in self.policies],
            "assignment": list(self.assignment),
            "seed": self.seed,
        }
        if self.enforce_timeouts is not None:
            content["action_timeout_ms"] = self.enforce_timeouts  # its name in the keys of all records
        if self.series is not None:
            content["series"] = [
                self.series.interval,
                list(self.series.game),
                list(self.series.agent),
                self.series.positions,
            ]
        if any(policy.network for policy in self.policies):
            engine = "batch" if self.batched else "single"
            content["torch"] = [importlib.metadata.version("torch"), self.device, self.threads, engine]
        return content

    @property
    def name(self) -> str:
        """The names of the policies that play, with their numbers of agents where there are several."""
        if len(self.policies) == 1:
            return self.policies[0].name
        counts = [self.assignment.count(index) for index in range(len(self.policies))]
        return "+".join(f"{policy.name}={count}" for policy, count in zip(self.policies, counts, strict=True))


@functools.cache
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("cogames", "mettagrid")}
