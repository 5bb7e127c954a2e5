"""The table of commands, their lazy loading, and the handling of errors."""

import contextlib
import importlib
import json
import re
import sys
import traceback
from typing import NoReturn

import typer
from typer import _click as click
from typer.core import TyperGroup

from daf.cli import _interrupts as interrupts
from daf.cli import _standard_streams as standard_streams
from daf.cli import _transfers as transfers
from daf.cli._common import complete
from daf.cli._help import HELP_NAMES
from daf.errors import DAFError, StorageError, nearest
from daf.storage.atomic import machine_error
from daf.storage.printable import printable_json, printable_lines

COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("daf.cli.quickstart", "Evaluate three policies on two missions, as a first example."),
    "doctor": ("daf.cli.doctor", "Check this machine: dependencies, disk, GPU, missions."),
    "init": ("daf.cli.init", "Start a project: a policy, a mission, a sweep and a test that work."),
    "menu": ("daf.cli.menu", "Choose what to do from a list."),
    "missions": ("daf.cli.missions", "List missions, evals and variants, or describe one."),
    "policies": ("daf.cli.policies", "List policies by their short names, or describe one."),
    "metrics": ("daf.cli.metrics", "List the metrics of missions with their ranges; correlations."),
    "evaluate": ("daf.cli.evaluate", "Play policies on missions and report the returns."),
    "compare": ("daf.cli.compare", "Compare policies on identical episodes, with paired tests."),
    "power": ("daf.cli.power", "Compute how many episodes a comparison needs, from a pilot or from given moments."),
    "score": ("daf.cli.score", "Score a policy in a team of others: value over replacement, as in CoGames' pickup."),
    "crossplay": ("daf.cli.crossplay", "Play teams of several policies: how well each plays with each partner."),
    "analyze": ("daf.cli.analyze", "Analyze missions and policies: facts, performance and failures."),
    "train": ("daf.cli.train", "Train a policy with PPO; interrupted runs resume bit-exactly."),
    "clone": ("daf.cli.clone", "Train a network to do what a policy does, and compare the two."),
    "adaptive": ("daf.cli.adaptive", "Run an experiment of many training runs: scheduled, retried, resumed."),
    "sweep": ("daf.cli.sweep", "Search hyperparameters over training or over policies and missions."),
    "cluster": ("daf.cli.cluster", "Start, stop and inspect Ray clusters; make tasks for SkyPilot."),
    "replay": (
        "daf.cli.replay",
        "Show recorded episodes: as facts, differences, GIFs, videos, or in the browser.",
    ),
    "plot": ("daf.cli.plot", "Draw the figures of a run: PNG, PDF or SVG."),
    "report": ("daf.cli.report", "Write a page about a run of any kind, readable offline."),
    "dashboard": ("daf.cli.dashboard", "Watch runs as they happen, in the browser of this machine."),
    "runs": ("daf.cli.runs", "List, show, label, query, publish, clean and export runs."),
    "package": ("daf.cli.package", "Write a policy's bundle: code, weights and specification in one zip."),
    "inspect": ("daf.cli.inspect", "Show what a bundle holds and would run, without running it."),
    "validate": ("daf.cli.validate", "Play a bundle in a confined process and decide whether it may be released."),
    "submit": ("daf.cli.submit", "Submit a bundle to a season of a tournament server."),
    "submissions": ("daf.cli.submissions", "List your uploads at a tournament server, and their seasons."),
    "leaderboard": ("daf.cli.leaderboard", "Show the ranking of a season."),
    "auth": ("daf.cli.auth", "Log in at a tournament server, and show the login."),
    "deploy": ("daf.cli.deploy", "Release a bundle: validate it, compare it with the live release, make it live."),
    "releases": ("daf.cli.releases", "List the releases of a registry, show one, or check its state."),
    "rollback": ("daf.cli.rollback", "Make an earlier release live again."),
    "serve": ("daf.cli.serve", "Serve a policy to other programs over CoGames' policy-server protocol."),
    "examples": ("daf.cli.examples", "List and run the examples that come with DAF."),
    "pipeline": ("daf.cli.pipeline", "Run a chain of commands that resumes and reruns only what changed."),
    "bench": ("daf.cli.bench", "Measure the speed of evaluation for your policy and mission."),
    "test": ("daf.cli.test", "Run suites of tests in parallel, and report on them."),
    "logs": ("daf.cli.logs", "Analyse training logs larger than memory."),
}
"""Every command: the module whose `app` (a `typer.Typer`) it is, and its line in `daf --help`."""


class LazyGroup(TyperGroup):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = typer.main.get_command(module.app)
        command.name = cmd_name
        complete(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = nearest(name, COMMANDS)
            hint = f"Nearest: {', '.join(close)}." if close else "`daf --help` lists them all."
            raise click.exceptions.UsageError(f'no command "{name}". {hint}', ctx)
        return super().resolve_command(ctx, args)


_LONG_WORD = re.compile(r"\S{1000,}")
"""What no message needs whole: somebody's argument of 200,000 characters."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"daf {version('daf')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """DAF, the laboratory for CoGames policies: evaluate, compare, analyse, train and show them."""


def _app() -> click.Command:
    root = typer.Typer(cls=LazyGroup, rich_markup_mode=None, no_args_is_help=True, context_settings=HELP_NAMES)
    root.callback()(_root)
    return typer.main.get_command(root)


def _failed(error: str, message: str, exit_code: int) -> int:
    """Print the error on stderr, with `--json` also as the one object on stdout. Returns the exit code."""
    message = _LONG_WORD.sub(lambda word: f"{word[0][:200]} … {word[0][-200:]}", message)
    print(printable_lines(f"{error}: {message}"), file=sys.stderr)
    if "--json" in sys.argv:
        status = "interrupted" if exit_code == 130 else "failed"
        data = {"run_id": None, "run_dir": None, "status": status, "error": {"type": error, "message": message}}
        print(printable_json(json.dumps(data)))
    return exit_code


def main() -> NoReturn:
    """Run the command line in `sys.argv` and exit with its code."""
    with standard_streams.tolerant() as out:
        with interrupts.watched():
            try:
                code = _run()
            except (Exception, KeyboardInterrupt) as error:
                if not interrupts.was_interrupted(error):
                    if "--json" in sys.argv:  # a fault of DAF's own: its traceback follows on stderr
                        _failed(type(error).__name__, str(error), 1)
                    raise
                code = _failed("Interrupted", "stopped. The same command resumes the work.", 130)
        out.flush()
        if out.error is not None:
            code = _failed(StorageError.__name__, f"cannot write to standard output: {out.error.strerror}.", code or 1)
    sys.exit(code)


def _run() -> int:
    quiet = bool({"--quiet", "-q"} & set(sys.argv))
    try:
        with contextlib.nullcontext() if quiet else transfers.shown():
            code = _app().main(prog_name="daf", standalone_mode=False)
    except DAFError as error:
        if {"--verbose", "-v"} & set(sys.argv):
            print(printable_lines("".join(traceback.format_exception(error))), file=sys.stderr)
        return _failed(type(error).__name__, str(error), error.exit_code)
    except ModuleNotFoundError as error:  # an optional package that no operation required with `extras.require`
        from daf.config.extras import extra_of, needs

        extra = extra_of(error.name)
        if extra is None:
            raise
        return _failed("MissingExtraError", needs(extra, f"daf {' '.join(sys.argv[1:2])}"), 2)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.exceptions.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "daf"
        return _failed("UsageError", f"{error.format_message()} See `{path} --help`.", 2)
    except OSError as error:
        storage_error = machine_error(error, "working")
        if storage_error is None:
            raise
        return _failed(StorageError.__name__, str(storage_error), storage_error.exit_code)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if code == 130:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
