"""How evaluation scales: efficiency with 1 and 2 workers, local and Ray in turn, and where the driver saturates.

    python benchmarks/scaling.py                    # both parts
    python benchmarks/scaling.py --rounds 3 --episodes 24
    python benchmarks/scaling.py --only simulated
    python benchmarks/scaling.py --only memory      # 100,000 episodes: minutes

Measured: the same episodes on each executor with 1 and 2 workers, alternating, so that a busy machine slows all alike.
Efficiency is the time of one local worker, divided by the workers and by the time of the executor.

Simulated: the driver's own code (batching, limits, pickling, records, the cache) against workers that only exist as
times at which batches end. It shows how many episodes a second of processor time the driver deals out and commits,
without waiting for disk and network, and without Ray's own work for each batch, which is measured separately.

Memory: how much the driver grows over 100,000 episodes, planned and committed by its own code as in the simulation, and
with the real Ray while it hands out as many tasks that return as many bytes as a record has.
"""

import argparse
import heapq
import itertools
import json
import os
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from daf.compute import _ray
from daf.compute._ray_worker import Answer
from daf.compute.executor import make_executor
from daf.compute.interface import ClusterOptions
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, plan_episodes
from daf.episodes.playing import Options, play_specs
from daf.episodes.run import PRELOAD, run_plan
from daf.game import missions, policies

MISSION, POLICY = "arena,max_steps=400", "starter"


def planned(episodes: int, cache: EpisodeCache, seed: int) -> Any:
    policy = policies.resolve(POLICY, cache=cache.bundles)
    return plan_episodes(missions.resolve(MISSION), [Contender(policy.name, (policy,))], episodes=episodes, seed=seed)


def measured(episodes: int, rounds: int) -> dict[str, Any]:
    """Seconds of the same episodes on each executor with 1 and 2 workers."""
    makers: dict[str, Callable[[], Any]] = {
        f"{name} {jobs}": lambda name=name, jobs=jobs: make_executor(
            name, jobs=jobs, preload=PRELOAD, cluster=ClusterOptions(cpus_per_episode=1.0)
        )
        for name, jobs in itertools.product(("local", "ray"), (1, 2))
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    executors = {name: make() for name, make in makers.items()}
    with tempfile.TemporaryDirectory() as folder:
        warm = EpisodeCache(Path(folder, "warm"))
        for number, executor in enumerate(executors.values()):  # starts the workers
            run_plan(planned(2 * executor.jobs, warm, seed=10_000 * (number + 1)), executor, warm)
        for round_ in range(rounds):
            for name, executor in executors.items():
                cache = EpisodeCache(Path(folder, f"{round_}-{name}"))
                plan = planned(episodes, cache, seed=100 * round_)
                began = time.perf_counter()
                result = run_plan(plan, executor, cache)
                seconds[name].append(time.perf_counter() - began)
                assert result.played == episodes, result.failures
    for executor in executors.values():
        executor.close()
    efficiency = {
        name: median(one / (int(name.split()[1]) * each) for one, each in zip(seconds["local 1"], times, strict=True))
        for name, times in seconds.items()
    }
    return {"episodes": episodes, "rounds": rounds, "seconds": seconds, "efficiency": efficiency}


class Simulated:
    """Stands in for Ray: workers that exist as times at which their batches end.

    The clock is the driver's processor time plus the time that it waits for them, whatever else the machine does.
    """

    def __init__(self, workers: int, seconds: float, answers: Sequence[bytes]) -> None:
        self.workers, self.seconds, self.answers = workers, seconds, itertools.cycle(answers)
        self.waited = 0.0
        self._free = [0.0] * workers
        self._ends: list[tuple[float, int]] = []
        self._batches: dict[int, int] = {}
        self._numbers = itertools.count()
        self._began = time.process_time()

    def now(self) -> float:
        return time.process_time() - self._began + self.waited

    def submit(self, context: Any, tasks: Sequence[bytes]) -> int:
        start = max(heapq.heappop(self._free), self.now())
        end = start + self.seconds * len(tasks)
        heapq.heappush(self._free, end)
        number = next(self._numbers)
        self._batches[number] = len(tasks)
        heapq.heappush(self._ends, (end, number))
        return number

    def ready(self, references: list[int], seconds: float) -> list[int]:
        self.waited += max(0.0, self._ends[0][0] - self.now())
        now, found = self.now(), []
        while self._ends and self._ends[0][0] <= now:
            found.append(heapq.heappop(self._ends)[1])
        return found

    def result(self, reference: int) -> list[Answer]:
        return [Answer(next(self.answers), None, self.seconds) for _ in range(self._batches.pop(reference))]


class SimulatedWorkers(_ray.RayWorkers):
    """The executor on Ray with every call of Ray replaced."""

    def __init__(self, simulated: Simulated) -> None:
        super().__init__(jobs="auto", options=ClusterOptions())
        self.simulated = simulated

    @property
    def jobs(self) -> int:
        return self.simulated.workers

    def _connect(self) -> None:
        pass

    def _room(self) -> int:
        return self.simulated.workers

    def _context(self, function: Any, timeout: Any, files: Any) -> Any:
        return None

    def _submitter(self) -> Callable[[Any, list[bytes]], Any]:
        return self.simulated.submit

    def close(self) -> None:
        self._flying = {}


def simulated(workers: int, episodes: int, seconds: float) -> dict[str, Any]:
    """Episodes a second that the driver deals out to `workers` and commits, of episodes that take `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        cache = EpisodeCache(Path(folder))
        samples = planned(8, cache, seed=0)
        for mission in samples.missions:
            cache.put_config(mission)
        real = make_executor("serial")
        kept: list[Any] = []
        original = real.run

        def run(function: Any, tasks: Any, **options: Any) -> Any:
            for done in original(function, tasks):
                kept.append(done.value)
                yield done

        real.run = run  # type: ignore[method-assign]
        list(play_specs([item.spec for item in samples.episodes], real, cache, Options()))
        simulator = Simulated(workers, seconds, [pickle.dumps((value, None)) for value in kept])
        executor = SimulatedWorkers(simulator)
        before = peak_mb()
        plan = planned(episodes, cache, seed=0)
        _ray_ready, _ray_result = _ray._ready, _ray._result
        _ray._ready, _ray._result = simulator.ready, simulator.result  # type: ignore[assignment]
        try:
            began = time.process_time()
            result = run_plan(plan, executor, cache)
            busy = time.process_time() - began
        finally:
            _ray._ready, _ray._result = _ray_ready, _ray_result
    assert result.played == episodes
    total = simulator.now()
    return {
        "workers": workers,
        "episodes": episodes,
        "seconds_per_episode": seconds,
        "driver_busy_seconds": busy,
        "driver_episodes_per_second": episodes / busy,
        "simulated_seconds": total,
        "efficiency": episodes * seconds / (total * workers),
        "grown_mb": peak_mb() - before,
    }


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(episodes: int) -> dict[str, Any]:
    """How much the driver grows over `episodes`: its own code, and Ray's part of it."""
    own = simulated(1_000, episodes, 1.0)["grown_mb"]
    executor = make_executor("ray", jobs=2)
    list(executor.run(bytes, [6_000] * 1_000))
    before = peak_mb()
    for done in executor.run(bytes, [6_000] * episodes):
        assert done.failure is None, done.failure
    executor.close()
    return {"episodes": episodes, "own_mb": own, "ray_mb": peak_mb() - before}


def batch_cost(batches: int) -> dict[str, float]:
    """What Ray itself takes for a batch of one empty task, with two workers."""
    executor = make_executor("ray", jobs=2)
    list(executor.run(abs, [-1] * 50))
    original, _ray.LARGEST_BATCH = _ray.LARGEST_BATCH, 1
    try:
        began = time.perf_counter()
        list(executor.run(abs, [-1] * batches))
    finally:
        _ray.LARGEST_BATCH = original
    seconds = time.perf_counter() - began
    executor.close()
    return {"batches": batches, "batches_per_second": batches / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--only", choices=("measured", "simulated", "memory"))
    options = parser.parse_args()
    found: dict[str, Any] = {}
    if options.only == "memory":
        os.fsync = lambda descriptor: None  # type: ignore[assignment]  # memory does not depend on the disk
        found["memory"] = memory(100_000)
    if options.only in (None, "measured"):
        found["measured"] = measured(options.episodes, options.rounds)
        found["ray"] = batch_cost(1_000)
    if options.only in (None, "simulated"):
        found["simulated"] = [simulated(workers, max(200, workers), 1.0) for workers in (10, 100, 1_000, 10_000)]
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
