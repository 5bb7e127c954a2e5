"""Analysis of missions: their facts, how policies perform on them, and how policies fail.

Facts come from the config of a mission, without playing. Performance comes from episodes of named policies, with
success by a stated criterion, never by a mixture of scores.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import MissionError, StorageError, UsageError
from daf.evaluation import Settings
from daf.game import missions as game_missions
from daf.mission_analysis._key_events import KeyEvent
from daf.mission_analysis._recorded import recorded_success
from daf.mission_analysis.facts import MissionAnalysis, analysis_of
from daf.mission_analysis.failure_modes import FailureMode
from daf.mission_analysis.operation import analyze_missions, analyze_played_mission
from daf.mission_analysis.performance import MissionPerformance, Performances, one_mission, perform
from daf.mission_analysis.sets import MissionSetAnalysis, SettingChange, VariantAnalysis, variant_changes
from daf.mission_analysis.success import default_criterion
from daf.storage.console_tables import show
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from rich.console import Console

    from daf.output_manager import OutputManager

__all__ = [
    "FailureMode",
    "KeyEvent",
    "MissionAnalysis",
    "MissionPerformance",
    "MissionSetAnalysis",
    "Performances",
    "SettingChange",
    "VariantAnalysis",
    "daf_analyze_mission",
    "daf_analyze_mission_performance",
    "daf_analyze_mission_set",
    "daf_analyze_mission_variants",
    "daf_discover_missions_from_readme",
    "daf_get_mission_metadata",
    "daf_list_all_sites",
    "daf_list_all_variants",
    "daf_validate_mission_set",
    "perform",
]


def daf_analyze_mission(
    name: Any,
    policies: Sequence[Any] = (),
    *,
    success: str | None = None,
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    game: str = game_missions.DEFAULT_GAME,
    console: "Console | None" = None,
) -> MissionAnalysis:
    """Describe a mission, and with `policies` how they perform: then `success_rate` is that of the best of them.

    Without policies, `success_rate` is that of the best policy in the runs of the output directory.

    name: a mission string, path, config or (name, config) pair. success: "metric >= x", by default from the mission's
    reward. settings: how episodes are played. Raises `MissionError`, `PolicyError`, `UsageError`.
    """
    if not policies:
        if success is not None:
            raise UsageError("success= needs policies to measure: pass policies= as well.")
        analysis = analysis_of(one_mission(name, game=settings.game if settings else game))
        analysis = with_recorded(analysis, name, game=settings.game if settings else game, output=output_manager)
    else:
        chosen = settings or replace(_SETTINGS, game=game)
        analysis = analyze_played_mission(
            name, policies, success=success, settings=chosen, output=output_manager
        ).analysis
    show(console, f"Mission {analysis.name}", analysis, without=("name", "performance"))
    if analysis.performance:
        show(console, "Policies", analysis.performance, without=_LONG)
    return analysis


def with_recorded(
    analysis: MissionAnalysis,
    name: Any,
    *,
    game: str = game_missions.DEFAULT_GAME,
    max_steps: int | None = None,
    output: "OutputManager | None" = None,
) -> MissionAnalysis:
    """`analysis` with the results of policies on the mission in earlier runs, if it has a criterion of success."""
    mission = one_mission(name, game=game, max_steps=max_steps)
    wanted = default_criterion(mission)
    if wanted is None:
        return analysis
    return replace(analysis, recorded=recorded_success(mission, wanted, output.base_dir if output else None))


def daf_analyze_mission_performance(
    policy_class_path: Any,
    mission_name: Any,
    episodes: int = 10,
    *,
    success: str | None = None,
    seed: int = 42,
    max_steps: int | None = None,
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> MissionPerformance:
    """How a policy performs on a mission: success_rate, mean_reward, completion, key_events, failure_modes and more.

    policy_class_path: any policy. episodes, seed, max_steps are ignored if `settings` is given.
    """
    chosen = settings or replace(_SETTINGS, episodes=episodes, seed=seed, max_steps=max_steps)
    found = analyze_played_mission(
        mission_name, [policy_class_path], success=success, settings=chosen, output=output_manager
    )
    row = found.played.rows[0]
    show(console, f"{row.policy} on {row.mission}", row, without=("policy", "mission", "held", "interval"))
    return row


def daf_analyze_mission_set(
    missions: Any,
    policies: Sequence[Any] = (),
    *,
    variants: Sequence[str] | None = None,
    success: str | None = None,
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> MissionSetAnalysis:
    """Several missions: their facts, and with `policies` their order from easiest to hardest as measured.

    variants: the page also shows what these change in each mission; empty for all of the game's.
    """
    found = analyze_missions(
        missions, policies, variants=variants, success=success, settings=settings or _SETTINGS, output=output_manager
    ).found
    brief = [
        {"mission": m.name, "agents": m.agents, "steps": m.max_steps, "problem": m.problem} for m in found.missions
    ]
    show(console, f"{len(brief)} missions", brief)
    if found.outcomes:
        show(console, f"Easiest first: {', '.join(found.order)}", found.outcomes)
    return found


def daf_analyze_mission_variants(
    mission: Any,
    variants: Sequence[str] = (),
    *,
    game: str = game_missions.DEFAULT_GAME,
    console: "Console | None" = None,
) -> list[VariantAnalysis]:
    """What each of `variants` (default: all of the game's) changes in a mission's config, value by value.

    A variant that cannot be applied to the mission is listed with its problem. Raises `MissionError`.
    """
    base = one_mission(mission, game=game)
    found = variant_changes(base, variants)
    rows = [
        {"variant": one.variant, "problem": one.problem, "changes": [change.path for change in one.changes]}
        for one in found
    ]
    show(console, f"Variants of {base.name}", rows)
    return found


def daf_validate_mission_set(
    missions: Sequence[Any], *, game: str = game_missions.DEFAULT_GAME, console: "Console | None" = None
) -> dict[str, str | None]:
    """For every mission None if it can be built, else the reason. An invalid mission does not raise."""
    found: dict[str, str | None] = {}
    for mission in missions:
        try:
            for resolved in game_missions.resolve(mission, game=game):
                found[resolved.name] = None
                game_missions.check_runs(resolved)
        except MissionError as error:
            name = mission if isinstance(mission, str) else str(getattr(mission, "label", mission))
            found[next((key for key in found if key == name), name)] = str(error)
    rows = [{"mission": name, "can run": problem is None, "problem": problem} for name, problem in found.items()]
    show(console, f"{len(rows)} missions", rows)
    return found


def daf_get_mission_metadata(
    name: Any, *, game: str = game_missions.DEFAULT_GAME, console: "Console | None" = None
) -> dict[str, Any]:
    """The facts of a mission, as JSON values."""
    data: dict[str, Any] = jsonable(analysis_of(one_mission(name, game=game)))
    del data["performance"], data["recorded"]
    show(console, f"Mission {data['name']}", data, without=("name",))
    return data


def daf_list_all_sites(*, game: str = game_missions.DEFAULT_GAME, console: "Console | None" = None) -> list[str]:
    """The sites of missions. In today's CoGames a site is a mission's own map, so these are the names of the missions
    that are not sub-missions of another.
    """
    found = [entry.name for entry in game_missions.catalogue(game) if entry.kind != "sub-mission"]
    show(console, f"Sites of {game}", found)
    return found


def daf_list_all_variants(
    *, game: str = game_missions.DEFAULT_GAME, console: "Console | None" = None
) -> dict[str, str]:
    """The game's variants by name, with their descriptions."""
    found = game_missions.variants(game)
    show(console, f"Variants of {game}", found)
    return found


def daf_discover_missions_from_readme(
    path: str | Path = "README.md", *, game: str = game_missions.DEFAULT_GAME, console: "Console | None" = None
) -> list[str]:
    """The missions that a text names as code: in back quotes, code blocks or after -m, in order, each once.

    Only names of CoGames' missions count; other code is ignored. Raises `StorageError`.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}.") from error
    known = {entry.name for entry in game_missions.catalogue(game)}
    code = re.findall(r"```.*?```|`[^`\n]+`|(?:-m|--mission)[ =]\S+", text, flags=re.DOTALL)
    words = [word.strip(".,;:") for part in code for word in re.findall(r"[A-Za-z_][\w.]*", part)]
    found = [word.removeprefix("evals.") for word in words]
    named = list(dict.fromkeys(word for word in found if word in known))
    show(console, f"Missions named in {file}", named)
    return named


_LONG = ("mission", "key_events", "failure_modes", "held", "roles", "interval", "criterion_stated")
"""The parts of a policy's row that a table has no room for."""
_SETTINGS = Settings(episodes=10, report=False, resamples=2_000)
