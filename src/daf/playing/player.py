"""The player: plans in, records and replays out, according to `Settings`.

Every setting that affects how an episode is played (executor, jobs, engine, time limit, share of GPU memory, allowed
failures) takes effect here and nowhere else. Workers import torch before their first episode if a policy is a network.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Plan
from daf.episodes.playing import Options
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import (
    EPISODE_TIMEOUT,
    Checked,
    RunResult,
    check_plan,
    preload_of,
    record_replays,
    run_plan,
)
from daf.game.device import resolve_device
from daf.game.policy import Policy
from daf.playing.contenders import players_of
from daf.playing.planning import has_networks
from daf.playing.settings import Settings


@dataclass(frozen=True)
class Player:
    """Plays episodes into a cache. checked: objects that `check_plan` has already built."""

    settings: Settings
    cache: EpisodeCache
    executor: Executor
    on_record: Callable[[EpisodeRecord], None] | None = None
    checked: Checked = frozenset()

    @property
    def options(self) -> Options:
        """Options for playing an episode."""
        timeout = self.settings.episode_timeout
        if timeout is None and self.executor.isolated:
            timeout = EPISODE_TIMEOUT
        return Options(self.settings.engine, timeout, self.settings.gpu_memory_fraction)

    def play(self, plan: Plan) -> RunResult:
        """Read the episodes of `plan` that are in the cache, and play the others. See `run_plan`."""
        return run_plan(
            plan,
            self.executor,
            self.cache,
            self.options,
            max_failures=self.settings.max_failures,
            on_record=self.on_record,
            checked=self.checked,
        )

    def record(self, records: Iterable[EpisodeRecord]) -> dict[str, Path]:
        """Replay files of `records`, by record key; see `record_replays`."""
        return record_replays(records, self.executor, self.cache, self.options)

    def replays(self, result: RunResult) -> dict[str, Path]:
        """The requested replays by record key: of all episodes, or of the best one per mission."""
        finished = [record for record in result.records if record.ok]
        if self.settings.save_replays == "none":
            return {}
        if self.settings.save_replays == "all":
            return self.record(finished)
        best: dict[str, EpisodeRecord] = {}
        for record in finished:
            leader = best.setdefault(record.spec.mission, record)
            if record.reward_per_agent() > leader.reward_per_agent():
                best[record.spec.mission] = record
        return self.record(best.values())

    def close(self) -> None:
        """Stop the workers, even while they play."""
        self.executor.close()


def open_player(
    settings: Settings,
    cache: EpisodeCache,
    *,
    networks: bool,
    policies: Iterable[Policy] = (),
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> Player:
    """Open a player, which the caller closes. networks: whether its workers will play networks.

    policies: those that are known to play.
    """
    executor = make_executor(
        settings.executor,
        jobs=settings.jobs,
        preload=preload_of(policies, networks=networks),
        cluster=settings.cluster,
        gpu=networks and resolve_device(settings.device, gpu_allowed=settings.gpu_allowed) != "cpu",
    )
    return Player(settings, cache, executor, on_record)


@contextlib.contextmanager
def player(
    settings: Settings,
    cache: EpisodeCache,
    plan: Plan,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> Iterator[Player]:
    """A player for the contenders of `plan`; its workers end with the block.

    The missions and policies of the missing episodes are built once when the block begins, so that errors are raised
    before a run directory exists. Raises `PolicyError`, `MissionError`.
    """
    policies = players_of(plan.contenders)
    networks = has_networks(plan.contenders)
    with contextlib.closing(
        open_player(settings, cache, networks=networks, policies=policies, on_record=on_record)
    ) as opened:
        yield replace(opened, checked=check_plan(plan, opened.executor, cache))
