"""TPE, Gaussian processes and NSGA-II, with Optuna's samplers.

The samplers work on a study in memory that holds exactly what the strategy may know: results below `needs(number)`, and
the trials after them as running, which TPE (constant liar) and the Gaussian process (q-batch improvement) take into
account. Constraints are Optuna's: how far each bound is exceeded, 0 or less where it is met. Attributes that a sampler
sets on its trial or study (NSGA-II's generations and parents) are stored in the journal and restored by `restore`.
Every proposal uses a new sampler with a separate seed.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from daf.config.sweep import same
from daf.config.training import Scalar
from daf.core.search.space import Configuration, Dimension, Space
from daf.sweeps.journal import Proposal
from daf.sweeps.strategies._base import Lessons, State, Strategy, child_seed, window
from daf.sweeps.trial_result import SweepTrialResult

_CONSTRAINT = "constraints:"
"""Start of the keys under which Optuna 5 keeps the constraints of a trial."""
POPULATION = 20
"""Trials per generation of NSGA-II by default. (Optuna's default of 50 exceeds most sweeps.)"""


class ByOptuna(Strategy):
    """A sampler of Optuna. kind: tpe, gp or nsga2. lookahead: trials that may be open at a time."""

    def __init__(
        self,
        kind: str,
        space: Space,
        seed: int,
        directions: Sequence[str],
        *,
        lookahead: int,
        population: int | None,
        constraints: Sequence[str] = (),
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        super().__init__(space, seed)
        self._kind = kind
        self._lookahead = lookahead
        self._population = population or POPULATION
        ways = [optuna.study.StudyDirection[direction.upper()] for direction in directions]
        self._study = optuna.create_study(directions=ways)
        self._lessons = Lessons(directions, constrained=True)
        self._excesses = dict.fromkeys(constraints, 0.0)
        self._reported = 0

    def needs(self, number: int) -> int:
        return window(number, self._lookahead)

    def start(
        self, number: int, known: Sequence[SweepTrialResult], fixed: Mapping[str, Scalar]
    ) -> tuple[Configuration, State]:
        self._study.enqueue_trial(dict(fixed))
        return self.propose(number, known)

    def propose(self, number: int, known: Sequence[SweepTrialResult]) -> tuple[Configuration, State]:
        for result in known[self._reported :]:
            self._report(result)
        before = dict(self._study_notes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._study.sampler = self._sampler(child_seed(self.seed, number))
            trial = self._study.ask()
            if trial.number != number:
                raise AssertionError(f"trial {number} is the study's {trial.number}")
            values = self.space.configure(lambda dimension: _suggest(trial, dimension))
        notes = self._study.get_trials(deepcopy=False)[number].system_attrs
        news = {key: value for key, value in self._study_notes().items() if before.get(key) != value}
        return values, {"trial": dict(notes), "study": news} if notes or news else {}

    def restore(self, proposal: Proposal) -> None:
        import optuna

        names = {dimension.name: dimension for dimension in self.space.order}
        present = {name: value for name, value in proposal.hyperparameters.items() if name in names}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=present,
                distributions={name: distribution(names[name]) for name in present},
                system_attrs=dict(proposal.state.get("trial", {})),
            )
        )
        for key, value in proposal.state.get("study", {}).items():
            self._study._storage.set_study_system_attr(self._study._study_id, key, value)

    def _report(self, result: SweepTrialResult) -> None:
        import optuna

        values = self._lessons.learn(result)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if values is None:
                self._study.tell(result.trial_id, state=optuna.trial.TrialState.FAIL)
            else:
                self._constrain(result)
                self._study.tell(result.trial_id, list(values))
        self._reported += 1

    def _constrain(self, result: SweepTrialResult) -> None:
        """Set the constraints of a trial; a stopped or failed one, in which they are unknown, gets the worst so far."""
        trial = self._study.get_trials(deepcopy=False)[result.trial_id]
        for name, worst in self._excesses.items():
            excess = result.constraints.get(name, worst)
            self._excesses[name] = max(worst, excess)
            # `Trial.set_constraint` needs the object of the process that proposed the trial.
            self._study._storage.set_trial_system_attr(trial._trial_id, f"{_CONSTRAINT}{name}", excess)

    def _study_notes(self) -> dict[str, Any]:
        notes: dict[str, Any] = self._study._storage.get_study_system_attrs(self._study._study_id)
        return notes

    def _sampler(self, seed: int) -> Any:
        import optuna

        if self._kind == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=self._population, seed=seed)
        if self._kind == "gp":
            return optuna.samplers.GPSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, group=self.space.conditional)


def distribution(dimension: Dimension) -> Any:
    """The Optuna distribution of a dimension."""
    import optuna

    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    if dimension.whole:
        step = int(dimension.step or 1)
        last = int(dimension.nth((dimension.count or 1) - 1))
        return optuna.distributions.IntDistribution(int(dimension.low), last, log=dimension.log, step=step)
    high = dimension.high if dimension.step is None else float(dimension.nth((dimension.count or 1) - 1))
    return optuna.distributions.FloatDistribution(dimension.low, high, log=dimension.log, step=dimension.step)


def _suggest(trial: Any, dimension: Dimension) -> Scalar:
    chosen = trial._suggest(dimension.name, distribution(dimension))
    if dimension.choices:
        return next(choice for choice in dimension.choices if same(choice, chosen))
    return dimension.number(float(chosen)) if dimension.step is not None else chosen
