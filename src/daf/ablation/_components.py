"""The components whose value is measured, and the contenders and missions that measure it.

kw.NAME=VALUE     an argument of the policy's constructor, set to VALUE
variant:NAME      one more variant of the mission
role:NAME         the gear NAME cannot be taken
mask:FEATURE+…    the policy does not see these observation features (wildcards too)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender
from daf.errors import UsageError, unknown
from daf.game.mission import Mission
from daf.game.mission_changes import with_variant, without_role
from daf.game.policy import Policy
from daf.game.policy_strings import typed
from daf.playing.contenders import policies_of

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

KINDS = ("kw", "variant", "role", "mask")


@dataclass(frozen=True, slots=True)
class Component:
    """A change. kind: one of `KINDS`. what: the rest of its text. name: as written."""

    name: str
    kind: str
    what: str

    @property
    def words(self) -> str:
        """The change as text."""
        return {
            "kw": f"with {self.what}",
            "variant": f"with the variant {self.what}",
            "role": f"without the role {self.what}",
            "mask": f"without seeing {self.what}",
        }[self.kind]


def parse_components(texts: Sequence[str]) -> list[Component]:
    """The components that `texts` specify. Raises `UsageError`."""
    found: list[Component] = []
    if not texts:
        raise UsageError(
            "an ablation needs at least one component: kw.NAME=VALUE, variant:NAME, role:NAME or mask:FEATURE."
        )
    for text in texts:
        kind, separator, what = text.partition(":")
        if text.startswith("kw."):
            kind, what, separator = "kw", text.removeprefix("kw."), text.partition("=")[1]
        if kind not in KINDS:
            raise UsageError(f'"{text}": {unknown("kind of component", kind, [*KINDS[1:], "kw."])}')
        if not separator or not what.strip("=") or what.startswith("="):
            raise UsageError(f'"{text}" has no value: write kw.NAME=VALUE, variant:NAME, role:NAME or mask:FEATURE.')
        if text in [component.name for component in found]:
            raise UsageError(f'the component "{text}" is given twice.')
        found.append(Component(text, kind, what))
    return found


Cells = dict[tuple[str, str], tuple[str, str]]
"""(component, base mission) to (contender, mission) of the changed episodes."""


def layout(
    policy: Any,
    base: Policy,
    plain: Contender,
    played: Sequence[Mission],
    changes: Sequence[Component],
    cache: EpisodeCache,
    output: "OutputManager",
) -> tuple[Cells, list[Mission], list[list[Contender]]]:
    """The contenders of the changed episodes by component and mission, all missions, and who plays each of them.

    policy: as given; base: resolved; plain: its contender.
    """
    from daf.game.masking import masked, matching

    cells: Cells = {}
    changed: dict[str, Mission] = {}
    teams: dict[str, list[Contender]] = {mission.name: [plain] for mission in played}
    for change in changes:
        for mission in played:
            if change.kind in ("variant", "role"):
                derive = with_variant if change.kind == "variant" else without_role
                derived = derive(mission, change.what)
                changed[derived.name] = derived
                teams[derived.name] = [plain]
                cells[change.name, mission.name] = (plain.name, derived.name)
                continue
            if change.kind == "mask":
                other = masked(base, matching(change.what.split("+"), mission))
            else:
                other = policies_of([_with_argument(policy, change.what)], cache, output)[0]
            other = replace(other, name=f"{base.name} {change.words}")
            contender = Contender(other.name, (other,))
            teams[mission.name].append(contender)
            cells[change.name, mission.name] = (contender.name, mission.name)
    missions = [*played, *changed.values()]
    return cells, missions, [teams[mission.name] for mission in missions]


def _with_argument(policy: Any, argument: str) -> Any:
    if isinstance(policy, str | Path):
        return f"{policy},kw.{argument}"
    name, _, text = argument.partition("=")
    if hasattr(policy, "init_kwargs"):
        return policy.model_copy(update={"init_kwargs": {**policy.init_kwargs, name: typed(text)}})
    raise UsageError(f"kw.{argument}: to change arguments, pass the policy as a string or a PolicySpec.")
