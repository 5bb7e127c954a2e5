"""Whether tasks can be trained on together.

One network and one set of buffers serve all environments of a run, so its tasks must agree in the number of agents, the
observation tokens, the view and the actions. The meanings of the numbers in a token may differ: a network can learn to
distinguish missions, but it has to, so `meanings_differ` counts the differences.
"""

from daf.game import missions
from daf.game.mission import Mission

_NAMES = {
    "agents": "agents",
    "observation_tokens": "observation tokens",
    "view": "view",
    "actions": "actions",
}


def differences(a: Mission, b: Mission) -> str | None:
    """The differences between the spaces of `a` and `b`, for use in a sentence; None if they agree."""
    first, second = missions.facts(a), missions.facts(b)
    found = []
    for fact, name in _NAMES.items():
        if first[fact] == second[fact]:
            continue
        if fact == "actions":
            only = sorted(set(second[fact]) ^ set(first[fact]))
            found.append(f"actions ({len(second[fact])} instead of {len(first[fact])}; {', '.join(only[:4])} …)")
        else:
            found.append(f"{name} ({_text(second[fact])} instead of {_text(first[fact])})")
    return ", ".join(found) or None


def meanings_differ(a: Mission, b: Mission) -> int:
    """The number of observation features that mean something else in `b` than in `a`."""
    from daf.game.masking import features

    first, second = features(a), features(b)
    shared = zip(first, second, strict=False)
    return sum(one != other for one, other in shared) + abs(len(first) - len(second))


def _text(value: object) -> str:
    return "×".join(map(str, value)) if isinstance(value, list) else str(value)
