"""`daf validate`: may this bundle be released or submitted?"""

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._options import GameOption, MissionsOption, OutputOptions, SeedOption, SuccessOption

if TYPE_CHECKING:
    from daf.deployment import Validation

app = typer.Typer(rich_markup_mode=None, add_completion=False)

ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", metavar="RATE", help="Success rate that each mission must have, by its lower bound."),
]
ModeOption = Annotated[
    str, typer.Option("--mode", help="quick: 5 episodes on arena; thorough: 20 on arena and on machina_1.")
]
ValidationEpisodesOption = Annotated[
    int | None, typer.Option("--episodes", "-e", help="Episodes per mission (default: by --mode).")
]
SkipOption = Annotated[
    list[str] | None, typer.Option("--skip", metavar="CHECK", help="Ignore determinism or latency. Repeatable.")
]
NetworkOption = Annotated[bool, typer.Option("--network", help="Let the policy use the network while it plays.")]
StepLimitOption = Annotated[
    float, typer.Option("--step-limit", metavar="MS", help="Longest step of the game, all agents together.")
]
MemoryOption = Annotated[int, typer.Option("--memory", metavar="MIB", help="Memory of the policy's process.")]
TimeLimitOption = Annotated[
    float | None, typer.Option("--time-limit", metavar="S", help="Seconds for the episodes (300; thorough: 3600).")
]


@app.command()
@options
def validate(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a zip, or its directory.")],
    missions: MissionsOption = None,
    threshold: ThresholdOption = None,
    success: SuccessOption = None,
    mode: ModeOption = "quick",
    episodes: ValidationEpisodesOption = None,
    seed: SeedOption = 42,
    skip: SkipOption = None,
    network: NetworkOption = False,
    step_limit: StepLimitOption = 10_000.0,
    memory: MemoryOption = 8192,
    time_limit: TimeLimitOption = None,
    game: GameOption = "cogs_vs_clips",
    *,
    output: OutputOptions,
) -> None:
    """Play BUNDLE in a confined process and decide whether it may be released or submitted.

    Checks its content, its set-up script, the job of `cogames validate-bundle`, legal actions, determinism, the time
    of its steps, memory, and with --threshold its success rate. Exit code 1 if a check fails.

    \b
        daf validate my_policy.zip
        daf validate my_policy.zip -m arena --threshold 0.5 --success "reward >= 0.2"
        daf validate my_policy.zip --mode thorough --json
    """
    from daf.cli.show import emit
    from daf.deployment import validate as validate_bundle

    with _Progress(quiet=output.quiet) as progress:
        found = validate_bundle(
            bundle,
            missions or None,
            threshold,
            mode,
            success=success,
            episodes=episodes,
            seed=seed,
            skip=skip or (),
            network=network,
            step_limit_ms=step_limit,
            memory_mib=memory,
            seconds=time_limit,
            game=game,
            on_stage=progress.stage,
            on_episode=progress.episode,
        )
    if output.as_json:
        status = "ok" if found.passed else "failed"
        emit({"run_id": None, "run_dir": None, "status": status, "validation": found.to_data()})
    else:
        _show(found)
    if not found.passed:
        raise typer.Exit(1)


class _Progress:
    """A line for each stage, and from time to time one for the episodes; nothing if quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._spoke = time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from daf.errors import Interrupted

        if kind is KeyboardInterrupt:
            raise Interrupted("stopped without a verdict. The same command starts the validation again.") from None

    def stage(self, doing: str) -> None:
        from daf.cli.show import say

        if not self._quiet:
            say(f"{doing[0].upper()}{doing[1:]} …")

    def episode(self, played: int, planned: int) -> None:
        from daf.cli.show import PLAIN_LINE_SECONDS, say

        if not self._quiet and time.monotonic() - self._spoke >= PLAIN_LINE_SECONDS:
            self._spoke = time.monotonic()
            say(f"{played}/{planned} episodes")


_MARKS = {"passed": "[green]passed[/green]", "failed": "[red]failed[/red]", "skipped": "skipped"}


def _show(found: "Validation") -> None:
    from daf.cli.show import out, plain_table, seconds

    table = plain_table(str(found.path))
    table.add_column("check", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("", overflow="fold")
    for check in found.checks:
        table.add_row(check.name, _MARKS[check.status], escape(check.message))
    out.print(table)
    if found.limits.network is not None:
        out.print(f"The policy could use the network: {found.limits.network}.", markup=False)
    verdict = "passed" if found.passed else "failed"
    out.print(f"{found.policy_name} {verdict} the validation; {seconds(found.seconds)}", markup=False)
