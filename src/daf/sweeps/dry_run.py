"""What a sweep would do: everything is resolved and checked as for a real run, and nothing is played or written.

The first proposals are those of the real run: they depend on the seed alone until a strategy learns from results.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.sweep import DAFSweepConfig
from daf.core.search.space import Dimension
from daf.sweeps import journal
from daf.sweeps.held_out import held_out_seeds
from daf.sweeps.preparing import prepare
from daf.sweeps.resuming import fingerprint, same_sweep
from daf.sweeps.strategies import Proposer

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

MOST_SHOWN = 5


@dataclass(frozen=True)
class SweepPlan:
    """A sweep before it runs.

    trials: number of trials; finished: those that an earlier, interrupted run of the same sweep has already ended.
    training_steps: agent steps that each trial trains, None if trials only evaluate. episodes: per trial, over all
    missions. held_out: number of trials that are compared on held-out seeds, and episodes of each. train_seeds, race:
    as in the configuration. constraints: bounds by metric. proposals: the first
    trials' hyperparameters, as far as they don't depend on results.
    """

    name: str
    policy: str
    missions: tuple[str, ...]
    strategy: str
    objectives: tuple[str, ...]
    trials: int
    finished: int
    training_steps: int | None
    episodes: int
    held_out: tuple[int, int]
    train_seeds: int
    race: bool
    constraints: Mapping[str, str]
    space: Mapping[str, str]
    proposals: tuple[Mapping[str, Any], ...]

    def to_data(self) -> dict[str, Any]:
        """All fields, as JSON data."""
        return asdict(self)


def plan_sweep(
    config: DAFSweepConfig,
    *,
    output: "OutputManager | None" = None,
    jobs: int | str = "auto",
    executor: str = "local",
    cluster: ClusterOptions = THIS_MACHINE,
    save_replays: str = "best",
) -> SweepPlan:
    """Check a sweep and describe what it would do. Raises `UsageError` and its subclasses, as the sweep would."""
    from daf.output_manager import OutputManager

    output = output or OutputManager()
    prepared = prepare(
        config, output, jobs=jobs, executor=executor, cluster=cluster, use_cache=True, save_replays=save_replays
    )
    config = prepared.config
    proposer = Proposer(config, prepared.space, prepared.directions)
    free = list(itertools.takewhile(lambda number: proposer.needs(number) == 0, range(min(prepared.total, MOST_SHOWN))))
    earlier = same_sweep(fingerprint(prepared), output)
    return SweepPlan(
        name=config.name,
        policy=config.policy_class_path,
        missions=tuple(config.missions),
        strategy=config.strategy,
        objectives=tuple(f"{each.name} ({each.direction})" for each in prepared.objectives),
        trials=prepared.total,
        finished=0 if earlier is None else len(journal.read(earlier.path).results),
        training_steps=None if config.training is None else config.training.total_timesteps,
        episodes=config.episodes_per_trial * len(config.missions),
        held_out=(config.held_out_best, held_out_seeds(config)[1] * len(config.missions)),
        train_seeds=config.train_seeds,
        race=config.race,
        constraints=dict(config.constraints or {}),
        space={each.name: _range(each) for each in prepared.space.dimensions},
        proposals=tuple(proposer.next(number, ()).hyperparameters for number in free),
    )


def _range(dimension: Dimension) -> str:
    """ "0.0001 to 0.01, logarithmic", "adam, sgd (if optimizer is …)"."""
    if dimension.choices:
        text = ", ".join(map(str, dimension.choices))
    else:
        step = f", in steps of {dimension.step:g}" if dimension.step is not None else ""
        kind = ", logarithmic" if dimension.log else ""
        text = f"{dimension.low:g} to {dimension.high:g}{', integer' if dimension.whole else ''}{kind}{step}"
    when = " and ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in (dimension.when or {}).items())
    return f"{text} (if {when})" if when else text
