"""`daf sweep variants`: a policy across the variants of a mission."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import MetricOption, RunOptions, VariantsPlayOptions
from daf.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from daf.config import DAFVariantConfig
    from daf.sweeps.variants_result import VariantSweepResult


@options
def variants_command(
    *,
    policy: Annotated[str, typer.Option("--policy", "-p", help="Policy string; it plays all agents.")],
    mission: Annotated[str, typer.Option("--mission", "-m", help="The base mission. See `daf missions`.")],
    variants: Annotated[
        list[str] | None,
        typer.Option("--variant", "-V", help="A variant, A+B for several; repeatable. See `daf missions --variants`."),
    ] = None,
    no_pairs: Annotated[bool, typer.Option("--no-pairs", help="Play single variants only, no pairs.")] = False,
    metric: MetricOption = "reward",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML or JSON of kind variant: variant_names, difficulty, num_cogs; -V wins."),
    ] = None,
    play: VariantsPlayOptions,
    output: RunOptions,
) -> None:
    """Play a policy on a mission and its variants, each alone and in pairs, and compare with the base mission.

    \b
        daf sweep variants -p starter -m arena -V no_clips -V small_50 -e 20
    """
    from daf.cli.show import EpisodeProgress, emit
    from daf.sweeps.variants import daf_variant_sweep

    names = [name for given in variants or [] for name in given.split("+") if name]
    wanted = None if config is None else _from_file(config, names)
    if wanted is None and not names:
        raise UsageError("no variant is given. Name one with --variant; `daf missions --variants` lists them all.")
    manager, daf_config = playing.open_output(output)
    settings = play.settings(daf_config)
    with EpisodeProgress(quiet=output.quiet) as progress:
        found = daf_variant_sweep(
            policy, mission, wanted or names, play.episodes, pairs=not no_pairs, metric=metric, seed=play.seed,
            settings=settings, output_manager=manager, on_plan=progress.plan, on_record=progress,
        )  # fmt: skip
    if output.as_json:
        emit(found.results_data())
    else:
        _show(found, reported=settings.report)
    if found.status != "ok":
        raise typer.Exit(1)


def _from_file(path: Path, names: list[str]) -> "DAFVariantConfig":
    """The file's configuration with the variants of the command line, where there are any."""
    from daf.config import DAFVariantConfig, daf_load_config

    if not path.is_file():
        raise UsageError(f"--config {path}: no such file.")
    config = daf_load_config(path)
    if not isinstance(config, DAFVariantConfig):
        raise ConfigError(f"{path} configures a {config.kind}; `daf sweep variants` takes kind: variant.")
    return config.replace(variant_names=names) if names else config


def _show(found: "VariantSweepResult", *, reported: bool) -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import estimates, same_decimals
    from daf.stats.sentences import half_width, p_text

    table = plain_table(f"{found.policy} on {found.mission}: {found.metric}, {found.episodes} episodes of each")
    table.add_column("variant", overflow="fold")
    for name in ("mean", "difference", "95 % interval", "adjusted p"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    bounds = [row.ci for row in found.rows]
    means = same_decimals([row.mean for row in found.rows], map(half_width, bounds))
    differences = estimates([row.difference for row in found.rows], bounds)
    for row, *numbers in zip(found.rows, means, *differences, strict=True):
        p = "–" if row.p_adjusted is None else p_text(row.p_adjusted).removeprefix("p").removeprefix("=").strip()
        table.add_row(escape(row.name), *numbers, p, row.verdict)
    out.print(table)
    for row in found.rows:
        if row.refused:
            out.print(f"  {row.sentence}", markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    page = found.run_dir / "report.html"
    out.print(f"run: {page if reported else found.run_dir}", markup=False, soft_wrap=True)
