"""`daf serve`: a policy for other programs to play with."""

import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daf.cli._grouped import options
from daf.cli._options import DeviceOption, RunOptions

if TYPE_CHECKING:
    from daf.deployment.serving import PolicyServer

app = typer.Typer(rich_markup_mode=None, add_completion=False)

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all, which needs a token.")]
PortOption = Annotated[int, typer.Option("--port", help="Port; 0 for any free one.")]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="File with the token (default: $DAF_SERVE_TOKEN, or a new one if needed)."
    ),
]
MaxSessionsOption = Annotated[int, typer.Option("--max-sessions", metavar="N", help="Sessions at the same time.")]
MaxMessageOption = Annotated[int, typer.Option("--max-message", metavar="MIB", help="Largest message of a client.")]
IdleOption = Annotated[float, typer.Option("--idle", metavar="S", help="Close a session after this long a silence.")]
GraceOption = Annotated[
    float, typer.Option("--grace", metavar="S", help="Time that running episodes get when the server stops.")
]
ReloadOption = Annotated[
    float, typer.Option("--reload", metavar="S", help="Look this often for another version; 0 for only at SIGHUP.")
]


@app.command()
@options
def serve(
    policy: Annotated[str, typer.Argument(help="Policy string, bundle, or release:NAME for the live release.")],
    host: HostOption = "127.0.0.1",
    port: PortOption = 8770,
    token_file: TokenFileOption = None,
    max_sessions: MaxSessionsOption = 64,
    max_message: MaxMessageOption = 16,
    idle: IdleOption = 600.0,
    grace: GraceOption = 30.0,
    reload: ReloadOption = 5.0,
    device: DeviceOption = "cpu",
    *,
    output: RunOptions,
) -> None:
    """Serve POLICY over CoGames' policy-server protocol until Ctrl-C.

    Prints the URL to connect to; with --json one object with it, as soon as the server listens. /health and /metrics
    (Prometheus) answer on the same port. New episodes get the new version when a release goes live or the file of the
    policy is replaced; running ones end on the old one. SIGTERM stops as Ctrl-C does: running episodes may end.

    \b
        daf serve my_policy.zip
        daf serve release:walker --port 8770
        daf serve my_policy.py --host 0.0.0.0 --token-file token.txt
    """
    from daf.cli import _playing as playing
    from daf.cli.show import out, say
    from daf.deployment import serving_records
    from daf.deployment.serving import ServeSettings
    from daf.deployment.serving import serve as serve_policy
    from daf.deployment.serving_access import token_of
    from daf.stats.sentences import counted

    settings = ServeSettings(
        host=host,
        port=port,
        token=token_of(token_file, host),
        max_sessions=max_sessions,
        max_message_mib=max_message,
        idle_seconds=idle,
        grace_seconds=grace,
        reload_seconds=reload,
        device=device,
    )
    manager, _ = playing.open_output(output)
    if not output.quiet and not output.verbose:
        events = logging.getLogger("daf.deployment.serving")
        events.setLevel(logging.INFO)
        events.addHandler(_Lines())

    with contextlib.ExitStack() as serving:

        def ready(server: "PolicyServer") -> None:
            _say(server, as_json=output.as_json, quiet=output.quiet)
            serving.enter_context(contextlib.redirect_stdout(sys.stderr))  # what policies print does not belong to it

        run_dir = serve_policy(policy, settings, output=manager, on_ready=ready)
    if output.quiet or output.as_json:
        return
    episodes = serving_records.read(run_dir)
    failed = sum(episode["end"] == "failed" for episode in episodes)
    say(f"Stopped after {counted(len(episodes), 'episode')}, {failed} failed.")
    out.print(f"run: {run_dir}", markup=False, soft_wrap=True)


def _say(server: "PolicyServer", *, as_json: bool, quiet: bool) -> None:
    """Print the URL at once, because a program that starts the server reads it while the server runs."""
    from daf.cli.show import emit, out, say

    served = server.served
    if as_json:
        facts = {"policy": served.policy.name, "release": served.release, "sha256": served.sha256}
        address = {"url": server.url, "host": server.settings.host, "port": server.port}
        run_dir = server.journal.parent
        emit({"run_id": run_dir.name, "run_dir": str(run_dir), "status": "running", **address, **facts})
    else:
        out.print(server.url, markup=False, soft_wrap=True)
    sys.stdout.flush()
    if not quiet and not as_json:
        say(f"Serving {served.release or served.policy.name}. Press Ctrl-C to stop.")


class _Lines(logging.Handler):
    """What the server logs, as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        from daf.cli.show import say

        say(record.getMessage())
