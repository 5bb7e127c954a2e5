"""PDF export of a page with the Chromium installed on this machine; no other browser or service is used.

The page is opened from its file with a private profile in a temporary directory, and without network access.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from daf.errors import DataError, EnvironmentCheckError
from daf.storage import atomic
from daf.storage.foreign_paths import argument

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
VARIABLE = "DAF_CHROMIUM"
SECONDS = 180


def find_chromium() -> Path:
    """The browser to print with: `DAF_CHROMIUM`, else the first on PATH. Raises `EnvironmentCheckError`."""
    given = os.environ.get(VARIABLE)
    if given:
        named = shutil.which(given)
        if named is None:
            raise EnvironmentCheckError(f"{VARIABLE} must be an executable program, got {given}.")
        return Path(argument(named))
    for name in (*NAMES, MAC):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise EnvironmentCheckError(
        "--pdf needs Chromium or Chrome, and none is on PATH. Install it (Debian, Ubuntu: apt install chromium; macOS: "
        f"brew install --cask chromium), or set {VARIABLE}=/path/to/chromium. The HTML report needs neither."
    )


def print_pdf(page: Path, target: Path) -> Path:
    """Print the file `page` into `target`, atomically. Raises `EnvironmentCheckError`, `DataError`."""
    browser = find_chromium()
    with tempfile.TemporaryDirectory(prefix="daf-print-") as profile, atomic.writing(target) as temporary:
        command = [
            str(browser),
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-extensions",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={argument(temporary)}",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False
            )
        except subprocess.TimeoutExpired:
            raise DataError(f"{browser} did not print {page} within {SECONDS} s.") from None
        if done.returncode or not temporary.is_file() or not temporary.read_bytes().startswith(b"%PDF"):
            last = done.stderr.strip().splitlines()[-1:] or ["no output on stderr"]
            raise DataError(f"{browser} could not print {page} (exit {done.returncode}): {last[0]}")
    return target
