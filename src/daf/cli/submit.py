"""`daf submit`: enter a bundle into a season of a tournament."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli._grouped import options
from daf.cli._options import ConfigOption, OutputOptions
from daf.cli.auth import LoginServerOption, ServerOption

if TYPE_CHECKING:
    from daf.config import DAFTournamentConfig
    from daf.deployment.submission import Watcher

app = typer.Typer(rich_markup_mode=None, add_completion=False)

TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="S", help="Seconds to wait for an answer of the server (120).")
]


@app.command()
@options
def submit(
    bundle: Annotated[Path, typer.Argument(help="A bundle, as `daf package` writes it: a zip.")],
    season: Annotated[
        str | None, typer.Option("--season", "-s", help="The season to enter (default: the server's).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the policy at the server (default: the file's).")
    ] = None,
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    validation_episodes: Annotated[
        int | None, typer.Option("--validation-episodes", metavar="N", help="Episodes of the validation before (5).")
    ] = None,
    no_validation: Annotated[
        bool, typer.Option("--no-validation", help="Submit without validating the bundle first.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and send nothing.")] = False,
    timeout: TimeoutOption = None,
    config: ConfigOption = None,
    *,
    output: OutputOptions,
) -> None:
    """Submit BUNDLE to a season of a tournament server that speaks as CoGames' does.

    CoGames' public tournament is retired: name another server with --server, or make a player for its successor,
    Coworld, with `daf package --format coworld`. The bundle is validated first. The same bytes enter a season once; a
    call that failed or was stopped resumes with the missing step. Exit code 1 if the validation fails.

    \b
        daf auth login --server https://tournament.example.org
        daf submit my_policy.zip --server https://tournament.example.org --season beta --dry-run
        daf submit my_policy.zip --server https://tournament.example.org --season beta
    """
    from daf.cli.show import emit, out
    from daf.deployment.submission import submit as send
    from daf.output_manager import OutputManager
    from daf.storage.jsonable import jsonable

    flags: dict[str, Any] = {
        "server_url": server,
        "season": season,
        "submission_name": name,
        "validation_episodes": validation_episodes,
        "auto_validate": False if no_validation else None,
    }
    chosen = _config(config, bundle, {field: value for field, value in flags.items() if value is not None})
    with _progress(quiet=output.quiet) as watcher:
        made = send(
            bundle,
            chosen,
            login_server=login_server,
            dry_run=dry_run,
            timeout=timeout,
            output=OutputManager(output.output_dir),
            watcher=watcher,
        )
    if output.as_json:
        ran = {"run_id": made.run_id, "run_dir": None if made.run_dir is None else str(made.run_dir)}
        status = "failed" if made.status == "rejected" else "ok"
        emit({**ran, "status": status, "submission": jsonable(made)})
    else:
        out.print(made.sentence(), markup=False, soft_wrap=True)
    if made.status == "rejected":
        raise typer.Exit(1)
    if not output.as_json and made.status == "submitted":
        where = "" if chosen.server_url is None else f" --server {made.server}"
        out.print(f"Its matches: daf submissions --season {made.season}{where}", markup=False, soft_wrap=True)


def _config(path: Path | None, bundle: Path, flags: dict[str, Any]) -> "DAFTournamentConfig":
    """The file's settings, or the defaults; flags win."""
    from daf.config import DAFTournamentConfig
    from daf.deployment.submission import default_name
    from daf.errors import UsageError

    if path is None:
        return DAFTournamentConfig(**{"submission_name": default_name(bundle), **flags})
    if not path.is_file():
        raise UsageError(f"--config {path}: no such file.")
    return DAFTournamentConfig.from_yaml(path).replace(**flags)


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[Watcher]":
    """Messages on stderr, and a bar of the upload on a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from daf.cli.show import err, say, seconds
    from daf.deployment.submission import Watcher

    if quiet:
        yield Watcher()
        return
    columns = (TextColumn("upload"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:

        def on_bytes(sent: int, total: int) -> None:
            task = bar.task_ids[0] if bar.task_ids else bar.add_task("upload", total=total)
            bar.update(task, completed=sent)

        yield Watcher(
            on_bytes=on_bytes,
            on_pause=lambda reason, pause: say(f"{reason} Next attempt in {seconds(pause)}."),
            on_stage=lambda stage: say(f"{stage} …"),
        )
