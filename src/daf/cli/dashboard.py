"""`daf dashboard`: runs as they happen, in the browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daf.cli._options import JsonOption, QuietOption

if TYPE_CHECKING:
    from daf.dashboard import Dashboard

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def dashboard(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="An output directory, or a run directory (default: $DAF_OUTPUT_DIR or ./daf_output)."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port; 0 for any free one (default: the first free port from 8765).")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="127.0.0.1, localhost or ::1.")] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    output_dir: Annotated[Path | None, typer.Option("--output-dir", help="The same as DIR.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Watch runs as they happen, in the browser of this machine.

    Shows the runs of DIR: training curves, evaluations, comparisons, sweeps, replays, logs, the machine's load. It is
    read-only, and requires the complete address that it prints, with its token. Ctrl-C stops it.

    \b
        daf dashboard
    """
    from daf.dashboard import daf_serve_dashboard
    from daf.errors import UsageError

    if folder is not None and output_dir is not None:
        raise UsageError("DIR and --output-dir both name the directory. Use one of them.")

    def ready(serving: "Dashboard") -> None:
        _say(serving, as_json=as_json, quiet=quiet, browser=not no_browser)

    daf_serve_dashboard(folder or output_dir, host=host, port=port, on_ready=ready)


def _say(serving: "Dashboard", *, as_json: bool, quiet: bool, browser: bool) -> None:
    """Print the address at once, because a program that starts the dashboard reads it while the dashboard runs."""
    import sys

    from daf.cli.show import emit, err, out

    if as_json:
        address = {"url": serving.url, "host": serving.host, "port": serving.port}
        emit({"run_id": None, "run_dir": None, "status": "running", "folder": str(serving.base), **address})
    else:
        out.print(serving.url, markup=False, soft_wrap=True)
    sys.stdout.flush()
    if not quiet and not as_json:
        err.print(f"Showing {serving.base}. Press Ctrl-C to stop.", markup=False, soft_wrap=True)
    if browser and not serving.open_browser() and not quiet:
        err.print("No browser can be opened here. Open the address yourself.", markup=False, soft_wrap=True)
