"""The first difference of two episodes: the first step at which anything differs, and what.

Agents are matched by number, other objects by their place in the file, the simulator's order. Fields whose text is the
same in both files are never decoded, so long equal episodes are compared at the speed of reading. The infos that
policies reported (`policy_infos`) are not part of an episode, and not compared.
"""

from dataclasses import dataclass
from typing import Any

from daf.game.replays._series import FieldValues
from daf.game.replays.replay import Replay, ReplayObject, named

SHOWN = 20
KINDS = frozenset({"version", "width", "height", "agents", "objects", "item_names"})
"""If one of these facts differs, the two are of different kinds, and steps are not compared."""

NOT_COMPARED = frozenset({"policy_infos", "vibe"})
"""Reported by policies, and a second name for `vibe_id`."""


@dataclass(frozen=True, slots=True)
class ReplayChange:
    """One field that differs. what: "agent 3" or "hub 17"; a, b: its JSON value in either file, None if absent."""

    what: str
    field: str
    a: Any
    b: Any

    def __str__(self) -> str:
        return f"{self.what}: {self.field} {_short(self.a)} against {_short(self.b)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """How two replays differ. header: facts of the whole episode that differ (map size, steps, names, …).

    compared: whether the steps were compared; not if the maps, the agents or the format are of different kinds. step:
    the first at which a field differs, None if all steps that both have are the same. count: fields that differ at that
    step; changes: the first `SHOWN` of them, agents first. steps: number of steps in each.
    """

    header: tuple[ReplayChange, ...]
    compared: bool
    step: int | None
    count: int
    changes: tuple[ReplayChange, ...]
    steps: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether the two contain the same episode."""
        return self.step is None and not self.header


def difference(a: Replay, b: Replay) -> Difference:
    """Compare two replays. Raises `ReplayError` if a field that must be decoded is wrong."""
    header = _header(a, b)
    compared = not any(change.field in KINDS for change in header)
    first, found = min(a.steps, b.steps), list[ReplayChange]()
    for left, right in _pairs(a, b) if compared else ():
        for name in sorted((left.fields.keys() | right.fields.keys()) - NOT_COMPARED):
            step, values = _parting(left, right, name, first)
            if values is None:
                continue
            if step < first:
                first, found = step, []
            found.append(ReplayChange(_what(left), name, _named(a, name, values[0]), _named(b, name, values[1])))
    return Difference(
        header=header,
        compared=compared,
        step=first if found else None,
        count=len(found),
        changes=tuple(found[:SHOWN]),
        steps=(a.steps, b.steps),
    )


def _header(a: Replay, b: Replay) -> tuple[ReplayChange, ...]:
    facts = ("mission", "version", "seed", "width", "height", "steps", "action_names", "item_names")
    both = [(name, getattr(a, name), getattr(b, name)) for name in facts]
    both += [("agents", len(a.agents), len(b.agents)), ("objects", len(a.objects), len(b.objects))]
    return tuple(ReplayChange("episode", name, left, right) for name, left, right in both if left != right)


def _pairs(a: Replay, b: Replay) -> list[tuple[ReplayObject, ReplayObject]]:
    others = [[thing for thing in replay.objects if thing.agent_id is None] for replay in (a, b)]
    return [*zip(a.agents, b.agents, strict=True), *zip(*others, strict=False)]


def _parting(a: ReplayObject, b: ReplayObject, name: str, latest: int) -> tuple[int, tuple[Any, Any] | None]:
    """The first step, up to and with `latest`, at which the field differs, and its two values."""
    texts = [bytes(thing.fields[name]) if name in thing.fields else None for thing in (a, b)]
    if texts[0] == texts[1]:
        return latest, None
    left, right = _values(a, name), _values(b, name)
    for step in sorted({*left.steps.tolist(), *right.steps.tolist()}):
        if step > latest or step >= min(a.steps, b.steps):
            break
        if left.at(step) != right.at(step):
            return step, (left.at(step), right.at(step))
    return latest, None


def _values(thing: ReplayObject, name: str) -> FieldValues[Any]:
    if name not in thing.fields:
        return ReplayObject.always(None)
    field = thing.field(name)
    if name in ("inventory", "inventory_capacities", "input_resources", "output_resources"):
        return field.amounts()
    return field.sets() if name == "tag_ids" else field.anything()


def _named(replay: Replay, name: str, value: Any) -> Any:
    """`value` with the file's own names for numbers."""
    if name == "action_id" and isinstance(value, int):
        return named(replay.action_names, value)
    if name == "vibe_id" and isinstance(value, int) and replay.vibe_names:
        return named(replay.vibe_names, value)
    return replay.items(value) if name == "inventory" and value is not None else value


def _what(thing: ReplayObject) -> str:
    return f"agent {thing.agent_id}" if thing.agent_id is not None else f"{thing.type} {thing.id}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
