"""What another program prints, or nothing: for facts about the machine that may be missing."""

import subprocess

LONGEST_SECONDS = 5


def answer_of(*command: str) -> str | None:
    """The output of `command`; None if it does not exist, fails, or takes longer than `LONGEST_SECONDS`."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
