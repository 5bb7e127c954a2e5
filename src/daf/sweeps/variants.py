"""A policy across the variants of a mission: each variant and each pair of variants against the base mission.

Every changed mission is played on the seeds of the base mission, so that differences are paired. The map stays the same
only as far as the variant preserves it. If it does not, pairing removes less of the noise, which the test accounts for.
All variants and pairs share one family-wise error rate (Holm). A variant that the mission refuses, a pair that cannot
be combined, and a mission that cannot be built each have a row with the reason; none is omitted.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daf.config import DAFVariantConfig
from daf.episodes.metrics_values import EPISODE, parse, select
from daf.episodes.plan import Contender
from daf.errors import DataError, MissionError, UsageError, unknown
from daf.game import mission_facts
from daf.game import missions as game_missions
from daf.game.mission import Mission
from daf.game.mission_changes import with_cogs, with_variant
from daf.game.missions import check_runs
from daf.output_manager.publication import adding_to
from daf.playing.contenders import policies_of
from daf.playing.planning import cache_of, check_settings, missions_of, plan_teams
from daf.playing.run import play_run
from daf.playing.settings import Settings
from daf.sweeps._variants_comparing import Combination, compared
from daf.sweeps.variants_result import VariantSweepResult

if TYPE_CHECKING:
    from rich.console import Console

    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager

FILE = "variants.json"


def daf_variant_sweep(
    policy: Any,
    base_mission: Any,
    variant_names: Sequence[str] | DAFVariantConfig,
    episodes: int = 20,
    *,
    pairs: bool = True,
    metric: str = "reward",
    seed: int = 42,
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> VariantSweepResult:
    """Play `policy` on `base_mission` and on its variants, and compare each with the base.

    variant_names: as listed by `daf missions --variants`, or a `DAFVariantConfig`, whose `difficulty` (a variant) and
    `num_cogs` also change the base mission. episodes: of each mission. pairs: also play every pair of variants.
    metric: the metric to compare, any of `daf metrics`. settings: how episodes are played (their number and seed come
    from the arguments). Leaves a run directory under `comparisons` with variants.json and report.html; a repeated call
    reads all episodes from the cache. Raises `UsageError` and its subclasses before anything is played: for an unknown
    variant, for a base mission that does not run, and if no variant can be played.
    """
    from daf.output_manager import OutputManager
    from daf.sweeps.pages.variants_page import write_variants_page

    chosen = replace(settings or Settings(), episodes=episodes, seed=seed)
    check_settings(chosen)
    measured = parse(metric)
    wanted = variant_names if isinstance(variant_names, DAFVariantConfig) else None
    listed = variant_names.variant_names if isinstance(variant_names, DAFVariantConfig) else variant_names
    base = _base(base_mission, chosen, wanted)
    names = _checked(listed, base)
    select([measured.base], {base.name: [*EPISODE, *mission_facts.possible_stats(base)]})
    combinations: list[Combination] = [(name,) for name in names]
    combinations += itertools.combinations(names, 2) if pairs else []
    missions, refused = _derived(base, combinations, chosen)
    if not missions:
        raise MissionError(f"no variant of {base.name} can be played: {next(iter(refused.values()))}")
    output = output_manager or OutputManager()
    cache = cache_of(chosen, output.base_dir)
    played_by = policies_of([policy], cache, output)[0]
    contender = Contender(played_by.name, (played_by,))
    everything = list({mission.name: mission for mission in (base, *missions.values())}.values())
    plan = plan_teams(everything, [[contender]] * len(everything), chosen)
    title = f"variants of {base.name}, played by {played_by.name}"
    asked = {"policy": played_by.name, "mission": base.name, "variants": names, "pairs": pairs}
    with play_run(
        "comparisons", plan, chosen, cache, output, title=title, config=asked, on_plan=on_plan, on_record=on_record
    ) as run:
        found = compared(run, base, combinations, missions, refused, measured)
        found.save_json(run.run_dir / FILE)
    if chosen.report:
        with adding_to(run.run_dir):
            write_variants_page(run.run_dir)
    found.print_summary(console)
    return found


def _base(mission: Any, settings: Settings, wanted: DAFVariantConfig | None) -> Mission:
    found = missions_of(mission, settings)
    if len(found) != 1:
        raise UsageError(f"a variant sweep takes one base mission, and {mission} names {len(found)}.")
    base = found[0]
    if wanted is not None and wanted.num_cogs is not None:
        if "cogs" in game_missions.options_of(base.name) and base.num_agents != wanted.num_cogs:
            raise UsageError(
                f"mission {base.name} names its number of agents, and num_cogs is {wanted.num_cogs}: give one of them."
            )
        base = with_cogs(base, wanted.num_cogs)
    if wanted is not None and wanted.difficulty is not None:
        if wanted.difficulty in wanted.variant_names:
            raise UsageError(
                f"variant {wanted.difficulty} is the difficulty of the base mission, and is among variant_names too: "
                "leave one of them out."
            )
        base = with_variant(base, wanted.difficulty)
    if base is not found[0] and settings.max_steps is not None:
        base = game_missions.with_default_steps(base, settings.max_steps)
    check_runs(base, seed=settings.seed)
    return base


def _checked(names: Sequence[str], base: Mission) -> list[str]:
    if isinstance(names, str):
        raise UsageError(f'the variants are a list of names: ["{names}"].')
    if not names:
        raise UsageError("a variant sweep takes a variant at least; `daf missions --variants` lists them all.")
    if base.game is None:
        raise MissionError(f"{base.name} is a mission config; variants apply to named missions.")
    known = game_missions.variants(base.game)
    for name in names:
        if name not in known:
            raise MissionError(unknown("variant", name, known, hint="`daf missions --variants` lists them all."))
    if len(set(names)) < len(names):
        raise UsageError(f"a variant is given twice: {', '.join(names)}.")
    return list(names)


def _derived(
    base: Mission, combinations: Sequence[Combination], settings: Settings
) -> tuple[dict[Combination, Mission], dict[Combination, str]]:
    """The changed missions that can be played, and the reason for each that cannot."""
    missions: dict[Combination, Mission] = {}
    refused: dict[Combination, str] = {}
    for combination in combinations:
        without = next((name for name in combination if (name,) in refused), None)
        if without is not None and len(combination) > 1:
            refused[combination] = f"{without} cannot be played by itself."
            continue
        mission = base
        try:
            for name in combination:
                mission = with_variant(mission, name)
            if settings.max_steps is not None:
                mission = game_missions.with_default_steps(mission, settings.max_steps)
            check_runs(mission, seed=settings.seed)
        except (MissionError, DataError) as error:
            refused[combination] = str(error)
        else:
            missions[combination] = mission
    return missions, refused
