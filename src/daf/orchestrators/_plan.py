"""The graph of a pipeline: which stages there are, what each needs, and in which order they can run."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from daf.config import DAFPipelineConfig
from daf.config.base import ConfigModel
from daf.config.stage import DAFStageConfig
from daf.errors import ConfigError, UsageError, unknown
from daf.orchestrators._commands import COMMANDS, options_of, outputs_of
from daf.orchestrators._references import Reference, references_in

TRAINED = {"training": "policy", "sweep": "best"}
"""Sections that result in a policy, and the output that is that policy."""
_USES = {
    "training": "train",
    "sweep": "sweep",
    "evaluation": "evaluate",
    "comparison": "compare",
    "deployment": "deploy",
}


@dataclass(frozen=True)
class PlannedStage:
    """A stage and the names of the stages that must be done before it, in the order of the file."""

    config: DAFStageConfig
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.config.title


@dataclass(frozen=True)
class PipelinePlan:
    """The stages of a pipeline in an order in which they can run, one after the other."""

    config: DAFPipelineConfig
    stages: tuple[PlannedStage, ...]

    def stage(self, name: str) -> PlannedStage:
        """The stage `name`. Raises `UsageError` with the nearest names."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise UsageError(unknown("stage", name, [stage.name for stage in self.stages]))

    def after(self, name: str) -> set[str]:
        """The stage `name` and all that need it, directly or not."""
        found = {self.stage(name).name}
        for stage in self.stages:
            if found & set(stage.needs):
                found.add(stage.name)
        return found


def plan_pipeline(config: DAFPipelineConfig) -> PipelinePlan:
    """The plan of a pipeline. Raises `ConfigError` for a cycle, and for an unknown stage, output or option."""
    stages = [_from_section(config, stage) if isinstance(stage, str) else stage for stage in config.stages]
    by_name = {stage.title: stage for stage in stages}
    needs: dict[str, tuple[str, ...]] = {}
    for stage in stages:
        found = [*stage.needs]
        for name in stage.needs:
            if name not in by_name:
                raise ConfigError(f"stage {stage.title}: needs: {unknown('stage', name, by_name)}")
        for reference in references_in([stage.options, stage.config, stage.run]):
            _check(stage, reference, by_name)
            found.append(reference.stage)
        needs[stage.title] = tuple(name for name in by_name if name in found)
        if stage.use != "command":
            options_of(stage)
            if stage.config is not None and COMMANDS[stage.use].config is None:
                raise ConfigError(f"stage {stage.title}: {stage.use} has no configuration file; use options.")
    return PipelinePlan(config, tuple(PlannedStage(by_name[name], needs[name]) for name in _ordered(needs)))


def _check(stage: DAFStageConfig, reference: Reference, by_name: Mapping[str, DAFStageConfig]) -> None:
    if reference.stage not in by_name:
        raise ConfigError(f"stage {stage.title}: {reference}: {unknown('stage', reference.stage, by_name)}")
    known = outputs_of(by_name[reference.stage])
    if reference.output not in known and not reference.output.startswith("result."):
        raise ConfigError(
            f"stage {stage.title}: {reference}: {unknown(f'output of {reference.stage}', reference.output, known)} "
            "result.… names anything that the command prints with --json."
        )


def _ordered(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Every stage after those that it needs, otherwise in the order of the file."""
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigError(f"the stages need each other in a circle: {' → '.join(reversed(error.args[1]))}.") from error
    order: list[str] = []
    waiting: list[str] = []
    places = list(needs)
    while sorter.is_active():
        waiting = sorted([*waiting, *sorter.get_ready()], key=places.index)
        order.append(waiting.pop(0))
        sorter.done(order[-1])
    return order


def _from_section(config: DAFPipelineConfig, section: str) -> DAFStageConfig:
    """The stage that runs a section of the file."""
    given = cast("ConfigModel | None", getattr(config, f"{section}_config"))
    content = None if given is None else given.given_data()
    options: dict[str, Any] = {}
    trained = [(name, TRAINED[name]) for name in _before(config, section) if name in TRAINED]
    if section == "training" and content is not None and not (content.get("mission") or content.get("curriculum")):
        content["mission"] = _missions(config, section)
    if content is None:
        if not trained:
            raise ConfigError(
                f'the stage "{section}" has no section {section}_config, and no training or sweep comes before it.'
            )
        policies = [f"${{stages.{name}.{output}}}" for name, output in trained]
        options = {
            "policy": [*policies, *(["random"] if len(policies) == 1 and section == "comparison" else [])],
            "mission": _missions(config, section),
        }
    fields = {"use": _USES[section], "name": section, "config": content, "options": options}
    return DAFStageConfig.model_validate(fields)


def _before(config: DAFPipelineConfig, section: str) -> list[str]:
    names = [stage for stage in config.stages if isinstance(stage, str)]
    return [str(name) for name in names[: names.index(section)]]  # type: ignore[arg-type]


def _missions(config: DAFPipelineConfig, section: str) -> list[str]:
    """The missions of a section that names none: those of the first section that does."""
    for other in (config.comparison_config, config.evaluation_config, config.sweep_config):
        if other is not None and other.missions:
            return list(other.missions)
    training = config.training_config
    if training is not None and training.missions:
        return [str(mission) for mission in training.missions]
    raise ConfigError(f'the stage "{section}" names no mission, and neither does any other section.')
