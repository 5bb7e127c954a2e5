"""Send the result of a pipeline: to a command, or by HTTP POST to a URL."""

import json
import logging
import os
import shlex
import subprocess
import urllib.error
import urllib.request

from daf.errors import ConfigError
from daf.orchestrators.result import PipelineResult

VARIABLE = "DAF_NOTIFY"
_SECONDS = 30.0
logger = logging.getLogger(__name__)


def notification(wanted: bool | str) -> str | None:
    """The command or URL to notify; None for nobody. Raises `ConfigError` if it is not known."""
    if isinstance(wanted, str):
        return wanted
    if not wanted:
        return None
    found = os.environ.get(VARIABLE)
    if not found:
        raise ConfigError(
            f"notify_on_completion: true uses the command or URL in ${VARIABLE}, which is not set. Set it, or write "
            "the command or URL itself."
        )
    return found


def notify(target: str | None, result: PipelineResult) -> None:
    """Send the result: the command gets it as JSON on stdin, the URL as the body of a POST.

    A notification that fails is a warning: the pipeline itself has ended.
    """
    if target is None:
        return
    data = json.dumps(result.to_data())
    try:
        if target.startswith(("http://", "https://")):
            head = {"Content-Type": "application/json", "User-Agent": "daf"}
            request = urllib.request.Request(target, data.encode(), head, method="POST")
            with urllib.request.urlopen(request, timeout=_SECONDS):
                return
        subprocess.run(shlex.split(target), input=data, text=True, timeout=_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError, urllib.error.URLError) as error:
        logger.warning("the notification that %s has ended failed: %s", result.pipeline_name, error)
