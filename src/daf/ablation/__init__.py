"""What a part is worth: the same policy with and without it, on identical blocks.

Every changed episode has the seed of its unchanged one, so that differences are paired. Where the mission changes, the
map stays the same only as far as the change leaves it; the pairing then removes less of the noise, and the test knows.
All components and missions share one family-wise error rate (Holm). How components are written:
`daf.ablation._components`.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from daf.ablation._comparing import report_of
from daf.ablation._components import KINDS, Component, layout, parse_components
from daf.ablation._report import AblationReport, ComponentResult
from daf.ablation.page import ablation_page
from daf.episodes.metrics_values import EPISODE, parse, select
from daf.episodes.plan import Contender
from daf.evaluation import Settings, settings_data
from daf.game import mission_facts
from daf.playing.planning import cache_of, check_settings, missions_of
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable
from daf.teamplay import keep_run, plan_teams, player, policies_of

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

    components: see the module. metric: what is compared, any of `daf metrics`. settings: how it is played (default: 20
    episodes). Leaves a run folder under `comparisons`. Raises `UsageError` and its kinds before anything is played.
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
    asked = settings_data(chosen) | {"policy": base.name, "components": [change.name for change in changes]}
    started = time.time()
    with (
        player(chosen, cache, plan, on_record) as play,
        output.operation("comparisons", title=title, config=jsonable(asked)) as run_dir,
    ):
        if on_plan is not None:
            on_plan(plan)
        result = play.play(plan)
        kept = keep_run(
            run_dir, result, play.replays(result), run_id=output.session_id, operation="comparisons",
            started=started, player=play,
        )  # fmt: skip
        report = report_of(base.name, played, changes, cells, measured, chosen, result, kept)
        write_json(run_dir / "ablation.json", jsonable(report.to_data()))
        write_text(run_dir / "report.html", ablation_page(report, command=kept.command))
        if report.status != "ok":
            output.log_operation_complete("comparisons", "failed", error=" ".join(report.notes))
    report.print_summary(console)
    return report
