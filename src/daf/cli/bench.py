"""`daf bench`: the speed of evaluation on this machine, and where the time goes."""

import contextlib
from typing import Annotated

import typer

from daf.cli._help import CommandGroup
from daf.cli._options import GameOption, JsonOption, OutputDirOption, PoliciesOption, QuietOption, SeedOption

app = typer.Typer(
    cls=CommandGroup, rich_markup_mode=None, add_completion=False, help="Benchmarks for your own policy and mission."
)


@app.callback()
def bench() -> None:
    """Benchmarks for your own policy and mission, on this machine."""


@app.command("evaluate")
def evaluate_command(
    policies: PoliciesOption = None,
    mission: Annotated[str, typer.Option("--mission", "-m", help="Mission string.")] = "arena",
    episodes: Annotated[int, typer.Option("--episodes", "-e", help="Episodes per round and engine.")] = 4,
    rounds: Annotated[int, typer.Option("--rounds", help="Rounds; the engines alternate.")] = 3,
    seed: SeedOption = 100,
    game: GameOption = "cogs_vs_clips",
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Play the same episodes alternately in CoGames' rollout and in DAF's engine, in one process.

    Reports how many times faster DAF is, whether both results are equal, and where the remaining time goes.

    \b
        daf bench evaluate -p starter -m arena
    """
    from dataclasses import asdict

    from daf.benchmarking import benchmark_evaluate
    from daf.cli.show import emit, err, out, plain_table
    from daf.evaluation import default_cache
    from daf.output_manager.layout import base_folder

    found = []
    for policy in policies or ["starter"]:
        with (
            err.status(f"{policy} on {mission}", spinner="dots")
            if not quiet and err.is_terminal
            else contextlib.nullcontext()
        ):
            found.append(
                benchmark_evaluate(
                    policy,
                    mission,
                    episodes=episodes,
                    rounds=rounds,
                    seed=seed,
                    game=game,
                    cache=default_cache(base_folder(output_dir)),
                )
            )
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "benchmarks": [asdict(result) for result in found]})
        return
    table = plain_table(f"{mission}: {episodes} episodes in {rounds} rounds, one process, processor time")
    for name in ("policy", "engine"):
        table.add_column(name, no_wrap=True)
    for name in ("CoGames steps/s", "DAF steps/s", "speed-up"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in found:
        speeds = [f"{speed.agent_steps_per_second:,.0f}" for speed in (result.reference, result.daf)]
        table.add_row(result.policy, result.daf.engine, *speeds, f"{result.ratio:.1f}")
    out.print(table)
    for result in found:
        total = sum(result.shares.values())
        parts = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in result.shares.items())
        out.print(f"{result.policy}: results {result.checked}; of {total:.3g} s per episode: {parts}", soft_wrap=True)
