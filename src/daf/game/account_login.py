"""`python -m daf.game.account_login LOGIN_SERVER [--browser]`: a login in its own process, for `daf.game.account`."""

import os
import sys

from daf.errors import DAFError
from daf.game.account import INTERRUPTED, run_login


def main(login_server: str, *options: str) -> int:
    """Log in; returns the exit code."""
    try:
        run_login(login_server, open_browser="--browser" in options)
    except DAFError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the client's thread still reads stdin
