"""The `daf` command: parse, call an operation, show what it returned.

Each command has a separate module, which is imported only for that command, so that `daf --help` costs no more than
typer. Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 something failed, 2 used
wrongly, 130 interrupted.
"""

from daf.cli import _uncaught as uncaught

uncaught.install()  # before all imports that take time

from daf.cli.main import main  # noqa: E402

__all__ = ["main"]
