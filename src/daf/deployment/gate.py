"""Compare a candidate with the live release before it replaces it: in self-play, and in mixed teams.

Self-play alone does not predict a tournament, where a policy shares its team with others: the gate also plays both in
the same seats among a frozen pool. All episodes are stored, so a gate that is run again with more seeds plays only the
new ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from daf.deployment.gate_analysis import GateAnalysis, analyse_gate, check_gate
from daf.deployment.gate_report import GateReport, gate_data
from daf.deployment.gate_teams import GateTeam, teams_of
from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.errors import UsageError, quoted
from daf.game.policies import uniquely_named
from daf.game.policy import Policy
from daf.playing.contenders import resolved, team
from daf.playing.planning import cache_of, check_settings, missions_of, plan_teams
from daf.playing.run import PlayedRun, play_run
from daf.playing.settings import Settings
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

OPERATION = "deployment"
POOL = ("starter",)
"""CoGames' scripted policy, which changes only with CoGames."""


@dataclass(frozen=True)
class Gate:
    """What a candidate must show. missions: where. margin: the accepted loss in return per agent.

    against: "current" for the live release, or a policy string. pool: policies of the mixed teams; they must not change
    between gates. mixes: "2+6" for 2 agents of the candidate and 6 of the pool; None for a quarter, a half and three
    quarters of the seats.
    """

    missions: Sequence[str]
    margin: float
    against: str = "current"
    pool: Sequence[str] = POOL
    mixes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not self.missions:
            raise UsageError("a gate needs a mission. Name one with --gate-mission, for example --gate-mission arena.")
        for policy in self.pool:
            head = policy.partition(",")[0]
            moving = head.startswith("release:") and "@" not in head
            if moving or head == "run:latest":
                raise UsageError(
                    f"--pool {quoted(policy)} means another policy after each deployment, so results of gates could "
                    "not be compared. Name an exact one: release:NAME@VERSION or run:ID."
                )


def play_gate(
    candidate: Any,
    reference: Any,
    gate: Gate,
    *,
    names: tuple[str, str | None],
    settings: Settings | None = None,
    output: "OutputManager | None" = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> GateReport:
    """Play and analyse the gate. candidate, reference: policies; names: under which they appear (None: their
    own).

    Raises `UsageError` for settings with which no gate can pass.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings()
    where = output or OutputManager()
    check_settings(chosen)
    check_gate(gate.margin, chosen.alpha, chosen.episodes)
    cache = cache_of(chosen, where.base_dir)
    ours, theirs, *pool = _named(resolved([candidate, reference, *gate.pool], cache, where), names)
    missions = missions_of(list(gate.missions), chosen)
    teams: dict[str, list[tuple[GateTeam, str, str]]] = {}
    contenders = []
    for mission in missions:
        there = teams_of(mission, len(pool), gate.mixes)
        both = [[team([one, *pool], (seats.own, *seats.pool)) for seats in there] for one in (ours, theirs)]
        contenders.append([one for pair in zip(*both, strict=True) for one in pair])
        teams[mission.name] = [(seats, a.name, b.name) for seats, a, b in zip(there, *both, strict=True)]
    plan = plan_teams(missions, contenders, chosen)
    title = f"Gate of {ours.name} against {theirs.name} on {', '.join(mission.name for mission in missions)}"
    asked = {
        "candidate": ours.name,
        "reference": theirs.name,
        "pool": [policy.name for policy in pool],
        "margin": gate.margin,
        "missions": [mission.name for mission in missions],
        "cache": str(cache.root),
    }
    with play_run(
        OPERATION, plan, chosen, cache, where, title=title, config=asked, on_plan=on_plan, on_record=on_record
    ) as run:
        analysis = analyse_gate(
            run.result, teams, (ours.name, theirs.name), margin=gate.margin, alpha=chosen.alpha,
            resamples=chosen.resamples, seed=chosen.seed,
        )  # fmt: skip
        report = GateReport(
            analysis=analysis,
            pool=tuple((policy.name, policy.identity) for policy in pool),
            notes=tuple(_notes(run, analysis, (ours, theirs, *pool))),
            run=run.timed(),
        )
        _write(report)
    return report


def _named(policies: Sequence[Policy], names: tuple[str, str | None]) -> list[Policy]:
    ours, theirs, *pool = policies
    return uniquely_named([replace(ours, name=names[0]), replace(theirs, name=names[1] or theirs.name), *pool])


def _notes(run: PlayedRun, analysis: GateAnalysis, policies: Sequence[Policy]) -> list[str]:
    ours, theirs, *pool = policies
    notes = run.failure_notes(analysis.left_out)
    if ours.identity == theirs.identity:
        notes.append(f"{ours.name} is the same policy as {theirs.name}: class, arguments, weights and code are equal.")
    notes += [
        f"{policy.name} of the pool is the same policy as {other.name}."
        for policy in pool
        for other in (ours, theirs)
        if policy.identity == other.identity
    ]
    return notes


def _write(report: GateReport) -> None:
    write_json(report.run_dir / "results.json", jsonable(gate_data(report)))
    if report.settings.report:
        from daf.deployment.gate_page import page_of
        from daf.render.pages.markdown import run_markdown
        from daf.render.pages.parts import run_html

        page = page_of(report)
        write_text(report.run_dir / "report.html", run_html(page))
        write_text(report.run_dir / "REPORT.md", run_markdown(page))
