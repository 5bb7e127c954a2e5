"""Where two episodes part: the first step at which anything differs, and what.

Objects are matched by their place in the file, the simulator's order; fields whose text is the same in both files
are never decoded, so two long episodes that agree are compared at the speed of reading.
"""

from dataclasses import dataclass
from typing import Any

from daf.game.replays.replay import Replay, ReplayObject
from daf.game.replays.series import Series

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs. what: "agent 3" or "hub 17"; a, b: its JSON value in either file, None where absent."""

    what: str
    field: str
    a: Any
    b: Any

    def __str__(self) -> str:
        return f"{self.what}: {self.field} {_short(self.a)} against {_short(self.b)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """How two replays differ. header: facts of the whole episode that differ (map size, steps, names, …).

    step: the first at which a field differs, None where all steps that both have are the same. count: fields that
    differ at that step; changes: the first `SHOWN` of them, agents first. steps: how many steps either has.
    """

    header: tuple[Change, ...]
    step: int | None
    count: int
    changes: tuple[Change, ...]
    steps: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether the two tell of the same episode."""
        return self.step is None and not self.header


def difference(a: Replay, b: Replay) -> Difference:
    """Compare two replays. Raises `ReplayError` where a field that must be looked into is wrong."""
    common = min(a.steps, b.steps)
    first, found = common, list[Change]()
    pairs = list(zip(a.objects, b.objects, strict=False))
    pairs.sort(key=lambda pair: (pair[0].agent_id is None, pair[0].agent_id or 0))
    for left, right in pairs:
        for name in sorted(left.fields.keys() | right.fields.keys()):
            step, change = _parting(left, right, name, first)
            if change is None:
                continue
            if step < first:
                first, found = step, []
            found.append(change)
    return Difference(
        header=_header(a, b),
        step=first if found else None,
        count=len(found),
        changes=tuple(found[:SHOWN]),
        steps=(a.steps, b.steps),
    )


def _header(a: Replay, b: Replay) -> tuple[Change, ...]:
    facts = ("mission", "version", "seed", "width", "height", "steps", "action_names", "item_names")
    both = [(name, getattr(a, name), getattr(b, name)) for name in facts]
    both += [("agents", len(a.agents), len(b.agents)), ("objects", len(a.objects), len(b.objects))]
    return tuple(Change("episode", name, left, right) for name, left, right in both if left != right)


def _parting(a: ReplayObject, b: ReplayObject, name: str, latest: int) -> tuple[int, Change | None]:
    """The first step, up to `latest`, at which the field differs, and how."""
    texts = [bytes(thing.fields[name]) if name in thing.fields else None for thing in (a, b)]
    if texts[0] == texts[1]:
        return latest, None
    left, right = _values(a, name), _values(b, name)
    for step in sorted({*left.steps.tolist(), *right.steps.tolist()}):
        if step > latest:
            break
        if left.at(step) != right.at(step):
            return step, Change(_what(a), name, left.at(step), right.at(step))
    return latest, None


def _values(thing: ReplayObject, name: str) -> Series[Any]:
    if name not in thing.fields:
        return ReplayObject.always(None)
    field = thing.field(name)
    if name in ("inventory", "inventory_capacities", "input_resources", "output_resources"):
        return field.amounts()
    return field.sets() if name == "tag_ids" else field.anything()


def _what(thing: ReplayObject) -> str:
    return f"agent {thing.agent_id}" if thing.agent_id is not None else f"{thing.type} {thing.id}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
