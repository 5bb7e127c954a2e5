"""Every setting reaches the episodes of every operation that plays some.

Each operation plays real episodes once, with every setting changed, on an executor that notes what it is given.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from daf.ablation import daf_policy_ablation
from daf.benchmark_suites import daf_benchmark_suite
from daf.compute._serial import Serial
from daf.compute.carried import Files
from daf.compute.interface import THIS_MACHINE, ClusterOptions, Done, Failure
from daf.config import DAFSweepConfig
from daf.core.interval_evaluation import evaluate_checkpoint
from daf.crossplay.operation import daf_crossplay
from daf.errors import DAFError, UsageError
from daf.evaluation import evaluate
from daf.game import missions
from daf.game.outcome import SeriesRequest
from daf.mission_analysis.performance import perform
from daf.output_manager import OutputManager
from daf.playing import player
from daf.playing.settings import Settings
from daf.scoring_analysis.operation import daf_score
from daf.sweeps.operation import launch
from daf.sweeps.variants import daf_variant_sweep
from daf.until_decided import compare_until_decided

MISSION = "tutorial.miner"
SERIES = SeriesRequest(interval=3)
CHANGED = Settings(
    episodes=2,
    seed=77,
    jobs=3,
    executor="ray",
    cluster=ClusterOptions("10.1.2.3:6379", cpus_per_episode=2.0, gpus_per_episode=0.3, allow_version_mismatch=True),
    engine="object",
    gpu_memory_fraction=0.37,
    enforce_timeouts=5_000,
    slow_step_ms=12.5,
    episode_timeout=99.0,
    max_steps=7,
    save_replays="all",
    series=SERIES,
    keep_records=False,
    report=False,
    resamples=100,
)


@dataclass
class Noting(Serial):
    """Runs tasks here, and notes what they are. failing: no episode has a result."""

    failing: bool = False
    isolated: bool = True
    made: list[tuple[str, Any]] = field(default_factory=list)
    episodes: list[Any] = field(default_factory=list)
    recorded: list[Any] = field(default_factory=list)
    timeouts: set[float | None] = field(default_factory=set)

    def run(
        self, function: Any, tasks: Any, *, timeout: float | None = None, files: Files | None = None
    ) -> Iterator[Done[Any]]:
        for position, task in enumerate(tasks):
            if not hasattr(task, "options"):
                yield from self._at(position, super().run(function, [task]))
                continue
            (self.recorded if task.options.replay else self.episodes).append(task)
            if not task.options.replay:
                self.timeouts.add(timeout)
            if self.failing:
                yield Done(position, None, Failure("error", "failed for a test"))
            else:
                yield from self._at(position, super().run(function, [task]))

    @staticmethod
    def _at(position: int, done: Iterator[Done[Any]]) -> Iterator[Done[Any]]:
        for each in done:
            yield replace(each, position=position)

    @property
    def specs(self) -> list[Any]:
        return [spec for task in self.episodes for spec in task.specs]


def _sweep(policy: str, settings: Settings, output: OutputManager) -> Path:
    space = {"policy.vibe_action_p": [0.5]} if policy == "random" else {"mission.cogs": [2, 3]}
    config = DAFSweepConfig(
        name="noted", missions=[MISSION], policy_class_path=policy, search_space=space, strategy="random",
        num_trials=1, num_parallel=1, episodes_per_trial=settings.episodes, max_steps_per_episode=settings.max_steps,
        seed=settings.seed, held_out_best=0, device=settings.device,
    )  # fmt: skip
    return launch(
        config, output=output, jobs=settings.jobs, executor=settings.executor,
        cluster=settings.cluster, use_cache=settings.use_cache,
        gpu_allowed=settings.gpu_allowed, gpu_memory_fraction=settings.gpu_memory_fraction, new=True,
    ).run_dir  # fmt: skip


Operation = Callable[[str, Settings, OutputManager], Path]
OPERATIONS: dict[str, Operation] = {
    "evaluate": lambda policy, settings, output: evaluate([policy], MISSION, settings=settings, output=output).run_dir,
    "until_decided": lambda policy, settings, output: (
        compare_until_decided(
            [policy, "noop"],
            MISSION,
            max_episodes=settings.episodes,
            until_decided="anytime",
            settings=settings,
            output=output,
        ).evaluation.run_dir
    ),
    "score": lambda policy, settings, output: (
        daf_score(policy, ["noop"], MISSION, settings=settings, output=output).run_dir
    ),
    "crossplay": lambda policy, settings, output: (
        daf_crossplay([policy, "noop"], MISSION, settings=settings, output=output).run_dir
    ),
    "ablation": lambda policy, settings, output: (
        daf_policy_ablation(policy, MISSION, ["role:miner"], settings=settings, output_manager=output).run_dir
    ),
    "variants": lambda policy, settings, output: (
        daf_variant_sweep(
            policy, MISSION, ["damage"], settings.episodes, seed=settings.seed, settings=settings, output_manager=output
        ).run_dir
    ),
    "mission analysis": lambda policy, settings, output: (
        perform(MISSION, [policy], settings=settings, output=output).evaluation.run_dir
    ),
    "suite": lambda policy, settings, output: (
        daf_benchmark_suite([policy], "diagnostic", settings=settings, output_manager=output).run_dir
    ),
}
EFFECTS: dict[str, Callable[[Noting, Settings], bool]] = {
    "episodes": lambda noting, settings: len({spec.seed for spec in noting.specs}) == settings.episodes,
    "seed": lambda noting, settings: min(spec.seed for spec in noting.specs) == settings.seed,
    "jobs": lambda noting, settings: {made[1] for made in noting.made} == {settings.jobs},
    "executor": lambda noting, settings: {made[0] for made in noting.made} == {settings.executor},
    "cluster": lambda noting, settings: {made[2] for made in noting.made} == {settings.cluster},
    "engine": lambda noting, settings: {task.options.engine for task in noting.episodes} == {settings.engine},
    "gpu_memory_fraction": lambda noting, settings: (
        {task.options.gpu_memory_fraction for task in [*noting.episodes, *noting.recorded]}
        == {settings.gpu_memory_fraction}
    ),
    "enforce_timeouts": lambda noting, settings: (
        {spec.enforce_timeouts for spec in noting.specs} == {settings.enforce_timeouts}
    ),
    "slow_step_ms": lambda noting, settings: {spec.slow_step_ms for spec in noting.specs} == {settings.slow_step_ms},
    "episode_timeout": lambda noting, settings: noting.timeouts == {settings.episode_timeout},
    "max_steps": lambda noting, settings: {spec.max_steps for spec in noting.specs} == {settings.max_steps},
    "series": lambda noting, settings: {spec.series for spec in noting.specs} == {settings.series},
    "save_replays": lambda noting, settings: (
        {spec.key for task in noting.recorded for spec in task.specs} == {spec.key for spec in noting.specs}
    ),
    "cache_dir": lambda noting, settings: (
        settings.cache_dir is not None
        and {path.stem for path in settings.cache_dir.glob("episodes/*/*.json")} == {spec.key for spec in noting.specs}
    ),
}
OF_A_SWEEP = ("episodes", "seed", "jobs", "executor", "cluster", "gpu_memory_fraction", "max_steps")


def noted(monkeypatch: pytest.MonkeyPatch, *, failing: bool = False) -> Noting:
    """The executor that every player gets from now on."""
    noting = Noting(failing=failing)

    def make(name: str, *, jobs: Any, preload: Any, cluster: Any, gpu: bool) -> Noting:
        noting.made.append((name, jobs, cluster))
        return noting

    monkeypatch.setattr(player, "make_executor", make)
    return noting


@dataclass(frozen=True)
class Seen:
    settings: Settings
    first: Noting
    cached: Noting
    uncached: Noting
    run_dir: Path | None


_seen: dict[str, Seen] = {}


@pytest.fixture
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What an operation's executor was given: at first, when it is called again, and again without the cache."""
    name = request.param
    if name not in _seen:
        folder = tmp_path_factory.mktemp("played")
        settings = replace(CHANGED, cache_dir=folder / "elsewhere")
        play = (OPERATIONS | {"sweep": _sweep})[name]
        notings = []
        run_dir = None
        with pytest.MonkeyPatch.context() as patched:
            for use_cache in (True, True, False):
                noting = noted(patched)
                notings.append(noting)
                output = OutputManager(folder / "out", log_to_file=False)
                try:
                    run_dir = play("random", replace(settings, use_cache=use_cache), output)
                except DAFError:
                    assert noting.made, "refused before playing"
                    assert name == "suite", "only a suite of such short episodes has no score"
        _seen[name] = Seen(settings, *notings, run_dir)
    return _seen[name]


@pytest.mark.parametrize("setting", EFFECTS)
@pytest.mark.parametrize("seen", OPERATIONS, indirect=True)
def test_a_setting_reaches_the_episodes(seen: Seen, setting: str) -> None:
    assert seen.first.specs
    assert EFFECTS[setting](seen.first, seen.settings)


@pytest.mark.parametrize("setting", OF_A_SWEEP)
@pytest.mark.parametrize("seen", ["sweep"], indirect=True)
def test_a_setting_reaches_the_episodes_of_a_sweep(seen: Seen, setting: str) -> None:
    assert seen.first.specs
    assert EFFECTS[setting](seen.first, seen.settings)


@pytest.mark.parametrize("seen", [*OPERATIONS, "sweep"], indirect=True)
def test_only_a_run_without_the_cache_plays_again(seen: Seen) -> None:
    assert not seen.cached.specs
    assert {spec.key for spec in seen.uncached.specs} == {spec.key for spec in seen.first.specs}


@pytest.mark.parametrize("seen", OPERATIONS, indirect=True)
def test_a_run_keeps_no_records_where_it_shall_not(seen: Seen) -> None:
    assert seen.run_dir is None or not (seen.run_dir / "records").exists()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_run_stops_at_the_failures_allowed(operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noting = noted(monkeypatch, failing=True)
    with contextlib.suppress(DAFError):  # some operations have nothing to say without a result
        OPERATIONS[operation]("random", replace(CHANGED, max_failures=1), OutputManager(tmp_path, log_to_file=False))
    assert len(noting.episodes) == 1


@pytest.mark.parametrize("operation", [*OPERATIONS, "sweep"])
def test_a_gpu_is_refused_where_the_configuration_forbids_it(operation: str, tmp_path: Path) -> None:
    settings = replace(CHANGED, device="cuda", gpu_allowed=False, engine="auto", enforce_timeouts=None)
    with pytest.raises(UsageError, match="enable_gpu: false"):
        (OPERATIONS | {"sweep": _sweep})[operation]("lstm", settings, OutputManager(tmp_path, log_to_file=False))


def test_evaluations_during_training_have_their_share_of_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = noted(monkeypatch)
    folder = tmp_path / "checkpoints" / "step_000000001000"
    folder.mkdir(parents=True)
    spec = {"class_path": "cogames.policy.starter_agent.StarterPolicy", "data_path": None, "init_kwargs": {}}
    (folder / "policy_spec.json").write_text(json.dumps(spec))
    found = missions.resolve(f"{MISSION},max_steps=7")
    evaluate_checkpoint(
        folder, found, episodes=2, seed=77, cache_dir=tmp_path / "cache", jobs=3, replays=1,
        replay_dir=tmp_path / "replays", gpu_memory_fraction=0.37,
    )  # fmt: skip
    assert noting.recorded
    for setting in ("episodes", "seed", "jobs", "executor", "cluster", "gpu_memory_fraction"):
        assert EFFECTS[setting](noting, replace(CHANGED, executor="local", cluster=THIS_MACHINE))
