"""One trial from its configuration to its result: train if the sweep trains, then play the sweep's blocks.

Any error in a trial makes it a failed trial with a reason. If the machine caused the error, the trial is restarted up
to `max_retries` times. A result depends on the configuration, the seeds and the trials it was compared with, not on how
often it was started or what else was running.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.config.training import DAFTrainingConfig
from daf.core.jobs.retry import RetryRule
from daf.core.search.space import Configuration
from daf.episodes.metrics_values import Metric, parse, value
from daf.episodes.record import EpisodeRecord
from daf.errors import ConfigError, DataError, MetricError, StorageError
from daf.sweeps import journal, stopping
from daf.sweeps._training import TrainingStopped, TrialTraining
from daf.sweeps.constraints import Constraint, measured, violations
from daf.sweeps.objective import Objective, Scale
from daf.sweeps.playing import TOO_LONG, Episodes, TrialFailed, TrialPlayer
from daf.sweeps.targets import AssignedSettings, Target, setting_of
from daf.sweeps.trial_result import SweepTrialResult

TRIALS = "trials"
DEFAULT = -1
"""The number of the default configuration, which does not count as a trial."""


@dataclass
class TrialRunner:
    """State shared by all trials. scales: one per objective. stop: set when the sweep is interrupted."""

    config: DAFSweepConfig
    targets: Mapping[str, Target]
    objectives: tuple[Objective, ...]
    scales: tuple[Scale, ...]
    run_dir: Path
    stop: threading.Event
    trainings: TrialTraining
    constraints: tuple[Constraint, ...] = ()

    @property
    def retries(self) -> RetryRule:
        """For trials whose machine failed."""
        return RetryRule(self.config.max_retries)

    def run(
        self, player: TrialPlayer, number: int, values: Configuration, judges: Sequence[SweepTrialResult], source: str
    ) -> SweepTrialResult:
        """Return the result of trial `number`. judges: trials that may cause it to stop. Raises `TrainingStopped`."""
        blank = SweepTrialResult(number, dict(values), source=source)
        return self._tried(blank, lambda deadline: self._attempt(player, blank, judges, deadline))

    def train_again(
        self, player: TrialPlayer, trial: SweepTrialResult, seed: int, *, first: int, episodes: int
    ) -> SweepTrialResult:
        """Return the result of the configuration of `trial`, trained to the end with another training seed.

        first, episodes: the evaluation's first seed, and its episodes per mission. Raises `TrainingStopped`.
        """
        setting = self.setting(dict(trial.hyperparameters))
        if setting.training is None:
            raise AssertionError(f"trial {trial.trial_id} does not train")
        training = setting.training.replace(seed=seed)
        own = self._folder(trial.trial_id)
        folder = own.with_name(f"{own.name}-seed-{seed}")
        blank = SweepTrialResult(trial.trial_id, trial.hyperparameters, source=trial.source, run_dir=str(folder))

        def attempt(deadline: float | None) -> SweepTrialResult:
            trained = self._trained(blank, training, folder, None, deadline)
            if self.stop.is_set():
                raise TrainingStopped
            played = player.play(
                trained.policy or setting.policy, setting.missions, 0, episodes, seed=first, deadline=deadline
            )
            return replace(self._result(trained, played, None), cost=trained.cost)

        return self._tried(blank, attempt)

    def _tried(self, blank: SweepTrialResult, attempt: Callable[[float | None], SweepTrialResult]) -> SweepTrialResult:
        """The result of `attempt`, which is repeated if the machine fails. Its argument is the deadline."""
        started = time.monotonic()
        deadline = None if self.config.trial_timeout is None else started + self.config.trial_timeout
        failures = 0
        while True:
            try:
                result = attempt(deadline)
                break
            except (TrialFailed, StorageError) as error:
                if self.stop.is_set():
                    raise TrainingStopped from error
                machine = isinstance(error, StorageError) or error.machine
                if machine and self.retries.seconds_until_retry(failures) is not None:
                    failures += 1
                    continue
                result = replace(blank, status="failed", reason=str(error))
                break
            except (ConfigError, DataError, MetricError) as error:
                result = replace(blank, status="failed", reason=f"{type(error).__name__}: {error}")
                break
        return replace(result, seconds=time.monotonic() - started, attempts=failures + 1)

    def setting(self, values: Configuration) -> AssignedSettings:
        """Assign `values` to the components that they configure."""
        return setting_of(self.config, self.targets, values)

    def _attempt(
        self, player: TrialPlayer, blank: SweepTrialResult, judges: Sequence[SweepTrialResult], deadline: float | None
    ) -> SweepTrialResult:
        setting = self.setting(dict(blank.hyperparameters))
        if setting.training is None:
            result = self._evaluate(player, replace(blank, policy=setting.policy), setting, judges, deadline)
            return self._constrained(player, result, setting)
        folder = self._folder(blank.trial_id)
        blank = replace(blank, run_dir=str(folder))
        trained = self._train(player, blank, setting, setting.training, folder, judges, deadline)
        if trained.status == "stopped":
            return trained
        result = self._evaluate(player, trained, setting, judges, deadline)
        result = self._constrained(player, result, setting)
        return replace(result, all_metrics={**trained.all_metrics, **result.all_metrics}, cost=trained.cost)

    def _train(
        self,
        player: TrialPlayer,
        blank: SweepTrialResult,
        setting: AssignedSettings,
        training: DAFTrainingConfig,
        folder: Path,
        judges: Sequence[SweepTrialResult],
        deadline: float | None,
    ) -> SweepTrialResult:
        """Train to the end, or to the rung at which it is stopped. The result has no values yet unless it was stopped.

        Each rung is evaluated once: if the journal has its result, it is neither trained to nor evaluated again.
        """
        early, total, number = self.config.early_stopping, training.total_timesteps, blank.trial_id

        def trained(goal: int | None) -> SweepTrialResult:
            return self._trained(blank, training, folder, goal, deadline)

        if early is None or number == DEFAULT:
            return trained(None)
        recorded = journal.read(self.run_dir).rungs.get(number, {}) if folder.exists() else {}
        own = stopping.scheme(early, total, number)
        rivals = [trial for trial in judges if stopping.scheme(early, total, trial.trial_id) == own]
        passed: list[tuple[int, float]] = []
        for goal in stopping.rungs(early, total, number):
            if goal not in recorded:
                recorded[goal] = self._at_rung(player, trained(goal), setting, deadline)
                journal.rung(self.run_dir, goal, recorded[goal])
            there = recorded[goal]
            passed.append((goal, there.values[0]))
            reason = stopping.beaten_at_rung(there.values[0], goal, rivals, early, self.objectives[0].direction)
            if reason is not None:
                return replace(there, status="stopped", reason=reason, rungs=tuple(passed))
        return replace(trained(None), rungs=tuple(passed))

    def _trained(
        self,
        blank: SweepTrialResult,
        training: DAFTrainingConfig,
        folder: Path,
        goal: int | None,
        deadline: float | None,
    ) -> SweepTrialResult:
        """`blank` with what was trained, but no values."""
        done = self.trainings.train(folder, training, stop_at=goal, deadline=deadline)
        return replace(
            blank,
            steps=done.steps,
            checkpoint=str(done.checkpoint),
            policy=str(done.checkpoint),
            cost=float(done.steps) if self.config.cost == "steps" else done.seconds,
            all_metrics={f"train/{name}": metric for name, metric in done.metrics.items()},
        )

    def _folder(self, trial: int) -> Path:
        """The run directory in which a trial trains."""
        return self.run_dir / TRIALS / ("default" if trial == DEFAULT else f"{trial:04d}")

    def _at_rung(
        self, player: TrialPlayer, trained: SweepTrialResult, setting: AssignedSettings, deadline: float | None
    ) -> SweepTrialResult:
        """Score of a trial that has not reached its end."""
        there = self._evaluate(player, trained, setting, (), deadline)
        metrics = {**trained.all_metrics, **there.all_metrics}
        return replace(there, status="running", success=False, cost=trained.cost, all_metrics=metrics)

    def _evaluate(
        self,
        player: TrialPlayer,
        blank: SweepTrialResult,
        setting: AssignedSettings,
        judges: Sequence[SweepTrialResult],
        deadline: float | None,
    ) -> SweepTrialResult:
        """Play the blocks in chunks, between which the trial may be stopped."""
        policy, episodes = blank.policy or setting.policy, self.config.episodes_per_trial
        early = self.config.early_stopping
        looks = early is not None and early.method == "wilcoxon" and blank.trial_id != DEFAULT
        stretch = early.min_blocks if early is not None and looks else episodes
        played: dict[str, list[EpisodeRecord]] = {label: [] for label in player.labels}
        reason = None
        for first in range(0, episodes, stretch):
            if self.stop.is_set():
                raise TrainingStopped
            last = min(episodes, first + stretch)
            for label, records in player.play(policy, setting.missions, first, last, deadline=deadline).items():
                played[label] += records
            if deadline is not None and time.monotonic() > deadline:
                raise TrialFailed(TOO_LONG)
            if looks and early is not None and last < episodes:
                primary = {m: self._values(records, self.objectives[0].metric) for m, records in played.items()}
                units = self.scales[0].unit
                reason = stopping.worse_than_best(primary, units, judges, early, self.objectives[0].direction)
                if reason is not None:
                    break
        return self._result(blank, played, reason)

    def _constrained(
        self, player: TrialPlayer, result: SweepTrialResult, setting: AssignedSettings
    ) -> SweepTrialResult:
        """`result` with its constraints; a trial that violates one is infeasible, the default configuration is not."""
        if not self.constraints or not result.success:
            return result
        values: dict[str, Mapping[str, float]] = {
            constraint.name: {m: entry["metrics"][constraint.name] for m, entry in result.mission_results.items()}
            for constraint in self.constraints
            if constraint.metric is not None
        }
        names = [constraint.name for constraint in self.constraints if constraint.metric is None]
        metrics = dict(result.all_metrics)
        if names:
            found = measured(names, player.probe(result.policy or setting.policy, setting.missions[0]))
            values |= {name: {"": there} for name, there in found.items()}
            metrics |= found
        excess, reason = violations(self.constraints, values)
        infeasible = bool(reason) and result.trial_id != DEFAULT
        return replace(
            result,
            constraints=excess,
            all_metrics=metrics,
            status="infeasible" if infeasible else result.status,
            success=not infeasible,
            reason=reason or None,
        )

    def _result(self, blank: SweepTrialResult, played: Episodes, reason: str | None) -> SweepTrialResult:
        by_mission: dict[str, dict[str, Any]] = {mission: {} for mission in played}
        totals = []
        for objective, scale in zip(self.objectives, self.scales, strict=True):
            values = {m: self._values(records, objective.metric) for m, records in played.items()}
            aggregates = {mission: objective.of_episodes(sample) for mission, sample in values.items()}
            totals.append(scale.over(aggregates))
            for mission, sample in values.items():
                entry = by_mission[mission]
                if not entry:
                    entry.update({"value": aggregates[mission], "n": len(sample), "values": sample})
                    specs = [record.spec for record in played[mission]]
                    entry["max_steps"], entry["mission"] = specs[0].max_steps, specs[0].mission
                    entry["keys"] = [spec.key for spec in specs]
                if len(self.objectives) > 1:
                    entry.setdefault("objectives", {})[objective.name] = sample
        metrics: dict[str, float] = {}
        for metric in self._shown():
            means = {m: float(np.mean(self._values(records, metric))) for m, records in played.items()}
            for mission, mean in means.items():
                by_mission[mission].setdefault("metrics", {})[metric.name] = mean
                if len(means) > 1:
                    metrics[f"{mission}/{metric.name}"] = mean
            metrics[metric.name] = float(np.mean(list(means.values())))
        records = [record for of_mission in played.values() for record in of_mission]
        return replace(
            blank,
            primary_metric=totals[0],
            values=tuple(totals),
            all_metrics=metrics,
            mission_results=by_mission,
            status="stopped" if reason else "complete",
            success=reason is None,
            reason=reason,
            cost=self._cost(records),
        )

    def _cost(self, records: Sequence[EpisodeRecord]) -> float:
        if self.config.cost == "steps":
            return float(sum(record.played.steps * len(record.spec.assignment) for record in records))
        return sum(record.measurement.play_seconds for record in records if record.measurement is not None)

    def _shown(self) -> list[Metric]:
        """The metrics that every result includes: those of the objectives and constraints, reward and steps."""
        metrics = [*(objective.metric for objective in self.objectives), parse("reward"), parse("steps")]
        metrics += [constraint.metric for constraint in self.constraints if constraint.metric is not None]
        return list({metric.name: metric for metric in metrics}.values())

    @staticmethod
    def _values(records: Sequence[EpisodeRecord], metric: Metric) -> list[float]:
        return [value(record, metric) for record in records]
