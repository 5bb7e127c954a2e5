"""Play missions, analyse them, and add analysis.json and analysis.html to the run directory.

`daf analyze mission`, `daf analyze missions` and the functions of `daf.mission_analysis` call these, so that they leave
the same files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.evaluation import Settings
from daf.evaluation.analysis_files import first_failure_notes, write_analysis
from daf.game import missions as game_missions
from daf.mission_analysis._set_page import missions_page
from daf.mission_analysis.facts import MissionAnalysis, analysis_of
from daf.mission_analysis.page import mission_page
from daf.mission_analysis.performance import Performances, perform
from daf.mission_analysis.sets import MissionSetAnalysis, VariantAnalysis, analyze_set, variant_changes
from daf.playing.run import command_line

if TYPE_CHECKING:
    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager

Changes = Mapping[str, Sequence[VariantAnalysis]]
"""What variants change, by mission."""


@dataclass(frozen=True)
class PlayedMission:
    """A mission with the performance of policies, and the page on it."""

    analysis: MissionAnalysis
    played: Performances
    page: Path


@dataclass(frozen=True)
class PlayedSet:
    """Several missions, what variants change in them, and the page; None where no policy played."""

    found: MissionSetAnalysis
    changes: Changes
    page: Path | None


def analyze_played_mission(
    mission: Any,
    policies: Sequence[Any],
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    success: str | None = None,
    settings: Settings,
    replays: bool = True,
    output: "OutputManager | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> PlayedMission:
    """Play policies on one mission and write the analysis. Raises what `perform` raises."""
    played = perform(
        mission, policies, teams=teams, success=success, settings=settings, replays=replays, output=output,
        on_plan=on_plan, on_record=on_record,
    )  # fmt: skip
    analysis = analysis_of(played.mission, played.rows)
    evaluation = played.evaluation
    page = mission_page(
        analysis,
        command=command_line(),
        run_id=evaluation.run_id,
        notes=first_failure_notes(evaluation),
        run_dir=evaluation.run_dir,
    )
    return PlayedMission(analysis, played, write_analysis(evaluation, mission_data(analysis), page))


def analyze_missions(
    missions: Any,
    policies: Sequence[Any],
    *,
    variants: Sequence[str] | None = None,
    success: str | None = None,
    settings: Settings,
    output: "OutputManager | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> PlayedSet:
    """Describe missions, play policies on them, and write the analysis.

    variants: also what these change in each mission's config; empty for all of the game's.
    """
    changes: dict[str, Sequence[VariantAnalysis]] = {}
    if variants is not None:
        for one in game_missions.resolve(missions, game=settings.game):
            changes[one.name] = variant_changes(one, variants)
    found = analyze_set(
        missions, policies, success=success, settings=settings, output=output, on_plan=on_plan, on_record=on_record
    )
    evaluation = found.evaluation
    if evaluation is None:
        return PlayedSet(found, changes, None)
    page = missions_page(
        found, changes, command=command_line(), run_id=evaluation.run_id, notes=first_failure_notes(evaluation)
    )
    return PlayedSet(found, changes, write_analysis(evaluation, set_data(found, changes), page))


def mission_data(analysis: MissionAnalysis) -> dict[str, Any]:
    """The content of analysis.json for one mission."""
    return {"analysis": analysis, "success_rate": analysis.success_rate}


def set_data(found: MissionSetAnalysis, changes: Changes) -> dict[str, Any]:
    """The content of analysis.json for several missions."""
    return {"missions": found.missions, "outcomes": found.outcomes, "order": found.order, "variants": changes}
