"""The options that every command that runs something shares, with one meaning each."""

from pathlib import Path
from typing import Annotated

import typer

OUTPUT_DIR_HELP = "Where run folders go (default: $DAF_OUTPUT_DIR or ./daf_output)."
QUIET_HELP = "No progress and no messages."
VERBOSE_HELP = "Show the log on the way, and the traceback of an error."
OutputDirOption = Annotated[Path | None, typer.Option("--output-dir", help=OUTPUT_DIR_HELP)]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the first episode; episode i has seed + i.")]
JobsOption = Annotated[str, typer.Option("--jobs", "-j", help="Worker processes: a number, or auto for every core.")]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="Where episodes run: local (worker processes) or serial (this process).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help=QUIET_HELP)]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help=VERBOSE_HELP)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML or JSON file with this command's settings; flags win over it.")
]
