"""Load a policy in a separate process, examine it, and play with it: its properties, needs and behaviour.

`probe` runs `daf.game.policy_probing` under the limits of `daf.game.isolated`. Nothing of the policy is imported into
this process.
"""

from typing import Any

from daf.errors import quoted
from daf.game import isolated
from daf.game.policy_probing import ProbeRequest, look

SECONDS = 300.0


def probe(request: ProbeRequest, *, seconds: float = SECONDS) -> dict[str, Any]:
    """The findings of the process, as JSON values. Raises `PolicyError`, also if the process dies or takes too long."""
    found: dict[str, Any] = isolated.call(
        look, request, seconds=seconds, memory_mib=request.memory_mib, doing=f"policy {shown(request)}",
        too_long=f"It should load and play four episodes of {request.steps} steps: it hangs, or needs a longer "
        "limit (--time-limit) or fewer steps (--max-steps).",
    )  # fmt: skip
    return found


def shown(request: ProbeRequest) -> str:
    """The policy's name for people, before it is resolved."""
    return quoted(getattr(request.policy, "name", None) or str(request.policy))
