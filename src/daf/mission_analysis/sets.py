"""Several missions: what variants change in the config, which can run, and how hard they are in measured play.

Difficulty is measured with these policies: missions are ordered by the success rate of the best of them, then by the
share of the criterion that was reached. Rewards of different missions have different scales and determine no order.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.errors import MissionError, unknown
from daf.evaluation import Evaluation, Settings, evaluate
from daf.game import mission_facts
from daf.game import missions as game_missions
from daf.game.mission import Mission
from daf.game.mission_changes import with_variant
from daf.mission_analysis.facts import MissionAnalysis, analysis_of
from daf.mission_analysis.performance import success_interval
from daf.mission_analysis.success import check, criterion, default_criterion

if TYPE_CHECKING:
    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager


@dataclass(frozen=True)
class SettingChange:
    """One value of the config that a variant changes.

    before, after: JSON values, None if absent. count: entries that change alike, if paths contain a *.
    """

    path: str
    before: Any
    after: Any
    count: int = 1


@dataclass(frozen=True)
class VariantAnalysis:
    """What one variant does to a mission. changes: in the config; problem: why it cannot be applied or run."""

    variant: str
    description: str
    changes: tuple[SettingChange, ...]
    problem: str | None = None


@dataclass(frozen=True)
class MissionOutcome:
    """How one policy performed on one mission of a set."""

    mission: str
    policy: str
    criterion: str | None
    episodes: int
    failed: int
    success_rate: float | None
    success_ci: tuple[float, float] | None
    completion: float | None
    mean_reward: float | None


@dataclass(frozen=True)
class MissionSetAnalysis:
    """Several missions. order: names, easiest first, empty before any policy played. evaluation: the run, if any."""

    missions: tuple[MissionAnalysis, ...]
    outcomes: tuple[MissionOutcome, ...]
    order: tuple[str, ...]
    evaluation: Evaluation | None

    @property
    def invalid(self) -> list[MissionAnalysis]:
        """The missions that cannot run."""
        return [mission for mission in self.missions if mission.problem is not None]


def analyze_set(
    missions: Any,
    policies: Sequence[Any],
    *,
    success: str | None,
    settings: Settings,
    output: "OutputManager | None",
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> MissionSetAnalysis:
    """Describe every mission, and play the policies on all that can run."""
    found = game_missions.resolve(missions, game=settings.game)
    if settings.max_steps is not None:
        found = game_missions.each_once(game_missions.with_max_steps(mission, settings.max_steps) for mission in found)
    described = tuple(analysis_of(mission) for mission in found)
    if not policies:
        return MissionSetAnalysis(described, (), (), None)
    stated = criterion(success) if success is not None else None
    playable = [mission for mission, facts in zip(found, described, strict=True) if facts.problem is None]
    if not playable:
        raise MissionError(f"none of these missions can run: {described[0].problem}")
    evaluation = evaluate(
        policies, playable, settings=settings, output=output, title=f"analysis of {len(playable)} missions",
        on_plan=on_plan, on_record=on_record,
        rerun=None,  # the analysis adds files to the run directory
    )  # fmt: skip
    outcomes = tuple(
        _outcome(evaluation, position, contender.name, mission, stated or default_criterion(mission))
        for mission in playable
        for position, contender in enumerate(evaluation.result.plan.contenders)
    )
    return MissionSetAnalysis(described, outcomes, _easiest_first(outcomes), evaluation)


def variant_changes(base: Mission, names: Sequence[str]) -> list[VariantAnalysis]:
    """The changes of each variant in the config of `base`.

    Raises `MissionError` for an unknown variant, and for a mission without a name.
    """
    if base.game is None:
        raise MissionError(f"{base.name} is a custom config; variants apply only to named missions.")
    known = game_missions.variants(base.game)
    wrong = next((name for name in names if name not in known), None)
    if wrong is not None:
        raise MissionError(unknown("variant", wrong, known, hint="`daf missions --variants` lists all of them."))
    before = mission_facts.config_of(base)
    found = []
    for name in names or list(known):
        try:
            mission = with_variant(base, name)
            game_missions.check_runs(mission)
        except MissionError as error:
            found.append(VariantAnalysis(name, known[name], (), str(error)))
            continue
        changes = [change for change in difference(before, mission_facts.config_of(mission)) if change.path != "label"]
        found.append(VariantAnalysis(name, known[name], tuple(folded(changes))))
    return found


def difference(before: Any, after: Any, path: str = "") -> list[SettingChange]:
    """The differences of two trees of JSON values, each once and at the highest node that differs as a whole.

    A node that only one of them has is one change, however much lies below it. Lists whose items have names are matched
    by name, lists of the same length by position; other lists are changed as a whole.
    """
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(f"{path}.{key}" if path else key, before.get(key), after.get(key)) for key in {**before, **after}]
    elif isinstance(before, list) and isinstance(after, list):
        named, others = _by_name(before), _by_name(after)
        if not any(isinstance(item, dict | list) for item in (*before, *after)):
            return [SettingChange(path, before, after)]
        if named and others:
            pairs = [(f"{path}[{name}]", named.get(name), others.get(name)) for name in {**named, **others}]
        elif len(before) == len(after):
            pairs = [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(zip(before, after, strict=True))]
        else:
            return [SettingChange(path, before, after)]
    else:
        return [SettingChange(path, before, after)]
    return [change for where, a, b in pairs for change in difference(a, b, where)]


def _by_name(items: Sequence[Any]) -> dict[str, Any] | None:
    """Items by their "name", if each has a different one."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        return None
    return dict(zip((str(name) for name in names), items, strict=True))


def folded(changes: Sequence[SettingChange]) -> list[SettingChange]:
    """The changes with numbered entries folded: agents, ships, and the events of each round.

    A change that is the same for every agent appears once, as `game.agents[*]…`, and so does an addition or removal
    under many numbers; the first one's values represent all, and `count` gives the number.
    """
    found: dict[tuple[str, str, str], SettingChange] = {}
    for change in changes:
        path = re.sub(r"^game\.agents\[\d+\]|(?<=_r)\d+|(?<=:ship:)\d+", _numberless, change.path)
        whole = path != change.path and (change.before is None or change.after is None)
        values = (str(change.before is None), str(change.after is None))
        key = (path, *values) if whole else (path, repr(change.before), repr(change.after))
        first = found.setdefault(key, replace(change, path=path, count=0))
        found[key] = replace(first, count=first.count + 1)
    return list(found.values())


def _numberless(found: "re.Match[str]") -> str:
    return "game.agents[*]" if found[0].startswith("game.") else "*"


def _outcome(evaluation: Evaluation, position: int, policy: str, mission: Mission, wanted: Any) -> MissionOutcome:
    result = evaluation.result
    own = [
        record
        for planned, record in zip(result.planned, result.records, strict=True)
        if planned.contender == position and record.spec.config_hash == mission.config_hash
    ]
    finished = [record for record in own if record.ok]
    if wanted is not None and finished:
        check(wanted, mission.name, ["reward", "steps", "completion", *mission_facts.possible_stats(mission)])
    hits = sum(wanted.fulfilled(record) for record in finished) if wanted and finished else None
    return MissionOutcome(
        mission=mission.name,
        policy=policy,
        criterion=wanted.text if wanted else None,
        episodes=len(finished),
        failed=len(own) - len(finished),
        success_rate=hits / len(finished) if hits is not None else None,
        success_ci=success_interval(hits, len(finished)) if hits is not None else None,
        completion=float(np.mean([wanted.completion(r) for r in finished])) if wanted and finished else None,
        mean_reward=float(np.mean([r.reward_per_agent() for r in finished])) if finished else None,
    )


def _easiest_first(outcomes: Sequence[MissionOutcome]) -> tuple[str, ...]:
    """By the best policy's success, then completion; missions without a criterion last, in the order given."""
    best: dict[str, tuple[float, float]] = {}
    for outcome in outcomes:
        rate = -1.0 if outcome.success_rate is None else outcome.success_rate
        part = -1.0 if outcome.completion is None else outcome.completion
        best[outcome.mission] = max(best.get(outcome.mission, (-1.0, -1.0)), (rate, part))
    return tuple(sorted(best, key=lambda mission: (-best[mission][0], -best[mission][1])))
