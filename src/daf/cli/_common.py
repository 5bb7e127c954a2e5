"""Common options, added to each command that does not declare them.

A command that needs a value declares the option itself, with an alias of `daf.cli._options`. On every other command the
options act from here: `--verbose` prints the log and the traceback of an error, `--quiet` silences progress and
messages, `--output-dir` names the directory of the runs, and `--config` reads options from a file, on commands with
--seed.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from daf.cli._options import OUTPUT_DIR_HELP, QUIET_HELP, VERBOSE_HELP, place
from daf.errors import ConfigError, UsageError, unknown

NOT_IN_A_FILE = frozenset({"--config", "--json", "--quiet", "--verbose", "--help"})


def complete(command: Any) -> None:
    """Give `command`, or every command of this group, the common options that it lacks."""
    for child in getattr(command, "commands", {}).values():
        complete(child)
    if getattr(command, "commands", None):
        return
    has = {name for parameter in command.params for name in parameter.opts}
    names = {parameter.name for parameter in command.params}
    added = {"--output-dir", "--quiet", "--verbose"} | ({"--config"} if "--seed" in has else set())
    for option in _declared():
        if added & set(option.opts) and not has & set(option.opts) and option.name not in names:
            command.params.append(option)


def _declared() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_common)
    params: list[Any] = list(typer.main.get_command(app).params)
    return params


def _runs_in(context: typer.Context, folder: Path | None) -> Path | None:
    if folder is not None:
        before = os.environ.get("DAF_OUTPUT_DIR")
        os.environ["DAF_OUTPUT_DIR"] = str(folder)

        def restore() -> None:
            if before is None:
                del os.environ["DAF_OUTPUT_DIR"]
            else:
                os.environ["DAF_OUTPUT_DIR"] = before

        context.call_on_close(restore)
    return folder


def _be_quiet(context: typer.Context, quiet: bool) -> bool:
    if quiet:
        from daf.cli.show import err

        before, err.quiet = err.quiet, True
        context.call_on_close(lambda: setattr(err, "quiet", before))
    return quiet


def _log_too(context: typer.Context, verbose: bool) -> bool:
    if verbose:
        import logging

        from daf.logging_config.setup import ROOT, attach_console, detach

        logger = logging.getLogger(ROOT)
        handler = attach_console(logger, "INFO")
        context.call_on_close(lambda: detach(logger, handler))
    return verbose


def _fill_in(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values the defaults of the command's options, so that flags win over them."""
    if path is not None:
        if not path.is_file():
            raise UsageError(f"--config {path}: no such file.")
        options: dict[str, str] = {}
        for parameter in context.command.params:
            for name in parameter.opts:
                if name.startswith("--") and not NOT_IN_A_FILE & set(parameter.opts):
                    options[name[2:].replace("-", "_")] = options[str(parameter.name)] = str(parameter.name)
        given = _given(path, options)
        for key in given:
            if key not in options:
                raise ConfigError(f"{path}: {unknown('option', key, options)}")
        context.default_map = {options[key]: value for key, value in given.items()}
    return path


def _given(path: Path, options: dict[str, str]) -> dict[str, Any]:
    """The options in a file, by their names, or the fields of a comparison that the command has options for."""
    from daf.config.base import mapping_of
    from daf.storage.yaml_strict import read_document

    fields = {str(key).replace("-", "_"): value for key, value in mapping_of(read_document(path)).items()}
    if fields.get("kind") != "comparison":
        fields.pop("kind", None)
        return fields
    from daf.cli._playing import comparison_options

    return {name: value for name, value in comparison_options(path).items() if name in options}


def _common(
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            help=OUTPUT_DIR_HELP,
            callback=_runs_in,
            expose_value=False,
            parser=place,
            metavar="DIR|URL",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help=QUIET_HELP, callback=_be_quiet, expose_value=False)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help=VERBOSE_HELP, callback=_log_too, expose_value=False)
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="YAML or JSON file of this command's options by name, or of a comparison; flags win over it.",
            callback=_fill_in,
            expose_value=False,
            is_eager=True,
        ),
    ] = None,
) -> None:
    """Declare the options for typer."""
