"""Summary of the held-out record: the best trial there, the best trial of the sweep, and the default.

The numbers are reported without a verdict; the sentence of each trial states whether its difference is significant.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.stats.sentences import number


def held_out_finding(record: Mapping[str, Any]) -> str:
    """The finding on held-out seeds; empty for a record in which no trial has a result there."""
    minimize = record.get("direction") == "minimize"
    trials = [entry for entry in _entries(record) if _is_number(entry.get("in_the_sweep"))]
    winner = next((e for e in trials if e["trial"] == record.get("winner") and _is_number(e.get("value"))), None)
    if winner is None:
        return ""
    chosen = min(trials, key=lambda entry: entry["in_the_sweep"] * (1 if minimize else -1))
    scored = [entry for entry in trials if _is_number(entry.get("value"))]
    amount = f"{number(winner['value'])} {record.get('objective', '')}".strip()
    tied = [str(e["trial"]) for e in scored if e is not winner and e["value"] == winner["value"]]
    if tied:
        amount += f", tied with trial{'s' if len(tied) > 1 else ''} {', '.join(tied)}"
    where = f"On {record.get('episodes')} held-out episodes per mission"
    if winner is not chosen:
        there = f"has {number(chosen['value'])}" if _is_number(chosen.get("value")) else "has no result there"
        first = f"{where}, trial {winner['trial']} is best, with {amount}; the best in the sweep, trial "
        first += f"{chosen['trial']}, {there}."
    elif len(scored) > 1:
        first = f"{where}, trial {winner['trial']}, the best in the sweep, is best again, with {amount}."
    else:
        first = f"{where}, trial {winner['trial']}, the best in the sweep, has {amount}."
    return " ".join(part for part in (first, _default_sentence(record, scored, winner, minimize)) if part)


def held_out_of(record: Mapping[str, Any] | None, trial: int) -> Mapping[str, Any] | None:
    """The entry of one trial in the record; None if it was not played again."""
    found = [] if record is None else [entry for entry in _entries(record) if entry["trial"] == trial]
    return found[0] if found else None


def machine_failed(record: Mapping[str, Any] | None) -> list[int]:
    """The trials (-1 is the default) that have no result because the machine failed, to be played again."""
    if record is None:
        return []
    default = record.get("default")
    failed = [-1] if isinstance(default, Mapping) and default.get("machine") else []
    return failed + [entry["trial"] for entry in _entries(record) if entry.get("machine")]


def _default_sentence(
    record: Mapping[str, Any], scored: Sequence[Mapping[str, Any]], winner: Mapping[str, Any], minimize: bool
) -> str:
    default = record.get("default")
    if not isinstance(default, Mapping) or not _is_number(default.get("value")):
        return ""
    value, sign = default["value"], -1 if minimize else 1
    text = f"The default configuration has {number(value)} there{_other_limits(default, winner)}"
    if default.get("violates"):
        text += f", but violates a constraint ({default['violates']})"
    beaten = sum(sign * (value - entry["value"]) > 0 for entry in scored)
    if beaten == len(scored):
        return f"{text}: it did better than {_all(len(scored))}."
    if value == winner["value"]:
        return f"{text}, tied with trial {winner['trial']}."
    if beaten:
        return f"{text}, behind trial {winner['trial']}, ahead of {beaten} of the {len(scored)} trials."
    return f"{text}, behind trial {winner['trial']}."


def _all(trials: int) -> str:
    return {1: "that trial", 2: "both trials"}.get(trials, f"all {trials} trials")


def _other_limits(default: Mapping[str, Any], winner: Mapping[str, Any]) -> str:
    """The episode length of the default configuration, if the sweep searched it."""
    own, other = default.get("max_steps"), winner.get("max_steps")
    if not isinstance(own, Mapping) or not isinstance(other, Mapping) or dict(own) == dict(other):
        return ""
    steps = [" and ".join(f"{limit:,}" for limit in sorted(set(limits.values()))) for limits in (own, other)]
    return f" (in episodes of at most {steps[0]} steps; those of trial {winner['trial']} have {steps[1]})"


def _entries(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    trials = record.get("trials")
    return [e for e in trials if isinstance(e, Mapping) and "trial" in e] if isinstance(trials, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
