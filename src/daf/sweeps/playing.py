"""Episodes of a trial: read from the cache or played, always on the same blocks of seeds.

Episode i of a mission has the sweep's seed + i in every trial, so that trials can be compared block by block. A
repeated configuration costs nothing. If any episode has no result, the trial has none (`TrialFailed`), because an
average over the rest would be biased upwards.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender
from daf.episodes.playing import play_specs
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import EPISODE_TIMEOUT
from daf.errors import DAFError, ExecutorError, MissionError, StorageError
from daf.game import policies as game_policies
from daf.game.mission import Mission
from daf.game.missions import check_runs
from daf.game.policy_probe import probe
from daf.game.policy_probing import ProbeRequest
from daf.playing.planning import missions_of, plan_of
from daf.playing.player import open_player
from daf.playing.settings import Settings

PROBE_STEPS = 300
"""Steps of the episode in which a policy is timed for constraints."""
TOO_LONG = "it took longer than trial_timeout and was ended"
_AGAIN_SECONDS = 1.0
"""Delay before workers are stopped a second time, in case the executor has replaced those that ended."""


class TrialFailed(DAFError):
    """A trial has no result. machine: whether the machine caused it, so that another attempt may succeed."""

    def __init__(self, reason: str, *, machine: bool = False) -> None:
        super().__init__(reason)
        self.machine = machine


Episodes = Mapping[str, Sequence[EpisodeRecord]]
"""Episodes in the order of their seeds, by mission as named in the sweep's file."""


@dataclass
class TrialPlayer:
    """Plays trials. settings: episodes, seed and so on. labels: the missions as named in the sweep's file.

    A player belongs to one thread, because its executor is not shared.
    """

    settings: Settings
    labels: tuple[str, ...]
    cache: EpisodeCache
    runs: Path
    networks: bool
    timeout: float | None = None

    def __post_init__(self) -> None:
        self._player = open_player(self.settings, self.cache, networks=self.networks)
        self._missions: dict[str, Mission] = {}
        self._stored: set[str] = set()

    def play(
        self,
        policy: str,
        missions: Sequence[str],
        first: int,
        last: int,
        *,
        seed: int | None = None,
        deadline: float | None = None,
    ) -> Episodes:
        """Play episodes `first` to `last` - 1 of every mission. Raises `TrialFailed`, `StorageError`.

        missions: one for each label. seed: of the first episode, if it is not the sweep's. deadline: a value of
        `time.monotonic()`; running episodes are ended then, but the serial executor stops only after the current
        episode.
        """
        settings = replace(self.settings, episodes=last, seed=self.settings.seed if seed is None else seed)
        try:
            resolved = game_policies.resolve(policy, cache=self.cache.bundles, runs=self.runs)
            found = [self._mission(mission) for mission in missions]
        except StorageError:
            raise
        except DAFError as error:
            raise TrialFailed(f"{type(error).__name__}: {error}") from error
        played: dict[str, list[EpisodeRecord]] = {}
        specs = []
        for mission in found:
            plan = plan_of([mission], [Contender(resolved.name, (resolved,))], settings, first=first)
            specs.append([planned.spec for planned in plan.episodes])
        flat = [spec for of_mission in specs for spec in of_mission]
        self.cache.bring(flat)
        records = {spec.key: record for spec in flat if (record := self.cache.get(spec)) is not None}
        missing = [spec for spec in {spec.key: spec for spec in flat}.values() if spec.key not in records]
        if missing:
            self._store(found)
        limit = self.timeout if self.timeout is not None else EPISODE_TIMEOUT
        if missing and deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TrialFailed(TOO_LONG)
            limit = min(limit, left)
        executor = self._player.executor
        options = replace(self._player.options, timeout=limit if executor.isolated else None)
        try:
            with self._ended_at(deadline):
                for done in play_specs(missing, executor, self.cache, options):
                    self.cache.put(done.record)
                    records[done.record.spec.key] = done.record
                    if deadline is not None and time.monotonic() > deadline:
                        raise TrialFailed(TOO_LONG)
                    if done.record.failure is not None and done.record.failure.kind == "time-out":
                        break
        except (BrokenExecutor, ExecutorError) as error:
            if deadline is not None and time.monotonic() > deadline:
                raise TrialFailed(TOO_LONG) from error
            raise TrialFailed(f"the worker processes died ({error})", machine=True) from error
        self.cache.settle()
        self._check([record for record in records.values() if not record.ok], len(flat))
        for label, of_mission in zip(self.labels, specs, strict=True):
            played[label] = [replace(records[spec.key], spec=spec) for spec in of_mission]
        return played

    def probe(self, policy: str, mission: str) -> dict[str, Any]:
        """Measure the policy in a separate process, as `daf analyze policy` does. Raises `TrialFailed`."""
        request = ProbeRequest(
            policy,
            self._mission(mission).config_json,
            self.settings.seed,
            PROBE_STEPS,
            self.cache.bundles,
            self.runs,
            self.settings.device,
        )
        try:
            return probe(request)
        except DAFError as error:
            raise TrialFailed(f"{type(error).__name__}: {error}") from error

    def record(self, episodes: Sequence[EpisodeRecord]) -> Mapping[str, Path]:
        """The recordings of `episodes` in the cache, by key; those that are missing there are played again.

        Raises `TrialFailed`, `StorageError`.
        """
        try:
            return self._player.record(episodes)
        except (BrokenExecutor, ExecutorError) as error:
            raise TrialFailed(f"the worker processes died ({error})", machine=True) from error

    @contextmanager
    def _ended_at(self, deadline: float | None) -> Iterator[None]:
        """Stop the workers at `deadline` whatever they play; the executor then raises `ExecutorError`."""
        if deadline is None or not self._player.executor.isolated:
            yield
            return
        list(self._player.executor.run(abs, ()))  # creates the pool, so that there is one to stop
        over = threading.Event()

        def watch() -> None:
            wait = max(0.0, deadline - time.monotonic())
            while not over.wait(wait):
                self.close()
                wait = _AGAIN_SECONDS

        watching = threading.Thread(target=watch, name="daf-trial-timeout", daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()

    def check(self, missions: Sequence[str]) -> list[Mission]:
        """Build every mission once without playing. Raises `MissionError`."""
        found = [self._mission(mission) for mission in missions]
        for mission in found:
            check_runs(mission, seed=self.settings.seed)
        return found

    def close(self) -> None:
        """Stop the workers, even while they play."""
        self._player.close()

    def _mission(self, text: str) -> Mission:
        """The mission that `text` names, cached because it is the same in every trial."""
        if text not in self._missions:
            found = missions_of(text, self.settings)
            if len(found) != 1:
                names = ", ".join(mission.name for mission in found)
                raise MissionError(f'"{text}" names {len(found)} missions ({names}); a sweep lists each by itself.')
            self._missions[text] = found[0]
        return self._missions[text]

    def _store(self, missions: Sequence[Mission]) -> None:
        for mission in missions:
            if mission.config_hash not in self._stored:
                self.cache.put_config(mission)
                self._stored.add(mission.config_hash)

    @staticmethod
    def _check(failed: Sequence[EpisodeRecord], planned: int) -> None:
        if not failed:
            return
        causes = [record.failure for record in failed if record.failure is not None]
        first = failed[0].spec
        raise TrialFailed(
            f"{len(failed)} of {planned} episodes have no result; the first, on {first.mission} with seed "
            f"{first.seed}: {causes[0].message}",
            machine=any(cause.kind == "crash" for cause in causes),
        )
