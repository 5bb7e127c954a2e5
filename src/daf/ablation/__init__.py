"""The value of a component: the same policy with and without it, on identical blocks.

Every changed episode has the seed of its unchanged one, so that differences are paired. If the mission changes, the
map stays the same only as far as the change allows; the pairing then removes less of the noise, and the test accounts
for it. All components and missions share one family-wise error rate (Holm). The syntax of components is in
`daf.ablation._components`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daf.ablation._comparing import report_of
from daf.ablation._components import KINDS, Component, layout, parse_components
from daf.ablation._report import AblationReport, ComponentResult
from daf.ablation.page import ablation_page
from daf.episodes.metrics_values import EPISODE, parse, select
from daf.episodes.plan import Contender
from daf.game import mission_facts
from daf.playing.contenders import policies_of
from daf.playing.planning import cache_of, check_settings, missions_of, plan_teams
from daf.playing.run import play_run
from daf.playing.settings import Settings
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    from rich.console import Console

    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager

__all__ = ["KINDS", "AblationReport", "Component", "ComponentResult", "daf_policy_ablation", "parse_components"]


def daf_policy_ablation(
    policy: Any,
    missions: Any,
    components: Sequence[str],
    *,
    metric: str = "reward",
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> AblationReport:
    """Play `policy` on `missions` as it is and with each of `components` changed, on equal blocks, and compare.

    components: see the module. metric: the compared metric, any of `daf metrics`. settings: how it is played (default:
    20 episodes). Leaves a run directory under `comparisons`. Raises `UsageError` and its subclasses before anything is
    played.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings(report=False)
    check_settings(chosen)
    changes = parse_components(components)
    measured = parse(metric)
    output = output_manager or OutputManager()
    cache = cache_of(chosen, output.base_dir)
    base = policies_of([policy], cache, output)[0]
    played = missions_of(missions, chosen)
    plain = Contender(base.name, (base,))
    cells, all_missions, teams = layout(policy, base, plain, played, changes, cache, output)
    select([measured.base], {m.name: [*EPISODE, *mission_facts.possible_stats(m)] for m in all_missions})
    plan = plan_teams(all_missions, teams, chosen)
    title = f"ablation of {base.name} on {', '.join(mission.name for mission in played)}"
    asked = {"policy": base.name, "components": [change.name for change in changes]}
    with play_run(
        "comparisons", plan, chosen, cache, output, title=title, config=asked, on_plan=on_plan, on_record=on_record
    ) as run:
        report = report_of(base.name, played, changes, cells, measured, run)
        write_json(run.run_dir / "ablation.json", jsonable(report.to_data()))
        write_text(run.run_dir / "report.html", ablation_page(report, command=run.command))
    report.print_summary(console)
    return report
