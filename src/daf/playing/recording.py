"""How to get the recording of an episode that has none, as a sentence with the command for pages."""

import shlex

RECORDING = ("evaluate", "compare", "score", "crossplay")
"""Commands with the option `--save-replays`."""


def how_to_record(command: str, *, team: str, mission: str, seed: int) -> tuple[str, str]:
    """A sentence, and the command that records: all episodes of the run if `command` can, else this one.

    command: that of the run. team, mission, seed: of an episode without a recording.
    """
    words = shlex.split(command)
    if words[:1] == ["daf"] and len(words) > 1 and words[1] in RECORDING:
        return "To record every episode (results come from the cache, episodes are played again once):", shlex.join(
            [*_without_option(words), "--save-replays", "all"]
        )
    who = ["--team", team.replace("+", ",")] if "=" in team else ["-p", team]
    alone = ["daf", "evaluate", *who, "-m", mission, "-e", "1", "--seed", str(seed), "--save-replays", "all"]
    return "To record an episode, take its team, mission and seed from its row, as for the first:", shlex.join(alone)


def _without_option(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip or word.startswith("--save-replays="):
            skip = False
        elif word == "--save-replays":
            skip = True
        else:
            kept.append(word)
    return kept
