"""Runs `daf` commands in this process: `python tests/cli/base_commands.py COMMANDS`, a JSON file with a list of lists.

Prints one JSON list of [exit code, stdout, stderr]. With many commands in one process, the imports are paid once.
"""

import contextlib
import io
import json
import sys
import traceback
from pathlib import Path


def run(command: list[str]) -> tuple[int, str, str]:
    from daf.cli import main

    sys.argv = ["daf", *command]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            code = 70
            traceback.print_exc()
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    commands = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps([run(command) for command in commands]))
