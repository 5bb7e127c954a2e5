"""A policy ready to be played: its class, arguments, weights and source by content."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that can be played.

    name: for people, made unique among those that play together (`uniquely_named`). kwargs: constructor arguments.
    import_roots: folders that its code is imported from. network: it computes with torch, so its results depend on
    torch's version, the device and the number of threads. identity: hash of everything that determines its behaviour.
    also: other names under which the same policy was given (`each_once`).
    """

    name: str
    class_path: str
    data_path: str | None
    kwargs: dict[str, Any] = field(hash=False)
    import_roots: tuple[str, ...]
    network: bool
    identity: str
    also: tuple[str, ...] = field(default=(), compare=False)

    def spec(self) -> "PolicySpec":
        """The same as upstream's PolicySpec."""
        from mettagrid.policy.policy import PolicySpec

        return PolicySpec(class_path=self.class_path, data_path=self.data_path, init_kwargs=dict(self.kwargs))
