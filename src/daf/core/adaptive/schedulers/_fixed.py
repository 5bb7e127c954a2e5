"""A fixed list: every run trains to the end and is evaluated there."""

from collections.abc import Mapping, Sequence

from daf.core.adaptive.schedulers.interface import Known, Settings, Wanted, run_name


class FixedList:
    """settings: of each run. total: agent steps."""

    def __init__(self, settings: Sequence[Settings], total: int) -> None:
        self.targets = [total]
        self._wanted = tuple(
            Wanted(run_name(index), values, total, "in the list") for index, values in enumerate(settings)
        )

    def wanted(self, known: Mapping[str, Known]) -> tuple[Wanted, ...]:
        """The list, independent of `known`."""
        return self._wanted
