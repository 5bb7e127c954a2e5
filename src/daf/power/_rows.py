"""The rows of a power report, as data and as sentences."""

from dataclasses import asdict, dataclass
from typing import Any

from daf.render.text import duration
from daf.stats.power import MOST, Needed
from daf.stats.sentences import number


@dataclass(frozen=True)
class CurvePoint:
    """Needed blocks at one difference; None where it exceeds a million."""

    difference: float
    fixed: int | None
    most: int | None
    expected: float | None


@dataclass(frozen=True)
class PowerRow:
    """The needs of one comparison. who: the pair. where: "on arena", "over 3 missions". deviation: of a round's mean
    difference. missions: of a round. policies: that play it. seconds: of one block of all of them; None without
    a pilot.
    """

    who: str
    where: str
    difference: float
    deviation: float
    needed: Needed
    missions: int
    policies: int
    seconds: float | None

    def episodes(self, blocks: float | None) -> float | None:
        """Episodes of all policies together for that number of blocks on each mission."""
        return None if blocks is None else blocks * self.missions * self.policies

    def minutes(self, blocks: float | None) -> float | None:
        """Minutes on this machine for that number of blocks on each mission."""
        return None if blocks is None or self.seconds is None else blocks * self.seconds / 60

    def to_data(self) -> dict[str, Any]:
        """As JSON values."""
        need = self.needed
        sizes = {"fixed": need.fixed, "most": need.most, "expected": need.expected}
        return {
            "pair": self.who,
            "where": self.where,
            "difference": self.difference,
            "deviation": self.deviation,
            "sentence": self.sentence,
            **asdict(need),
            "episodes": {name: self.episodes(blocks) for name, blocks in sizes.items()},
            "minutes": {name: self.minutes(blocks) for name, blocks in sizes.items()},
        }

    @property
    def sentence(self) -> str:
        """The finding in plain English."""
        need = self.needed
        start = f"{self.who} {self.where}" if self.seconds is not None else "Given spread"
        if need.fixed is None or need.most is None or need.expected is None:
            return f"{start}: more than {MOST:,} blocks (d_z {number(need.effect)})."
        per = "blocks on each mission" if self.missions > 1 else "blocks"
        text = (
            f"{start}: {need.fixed:,} {per} with a fixed number; until decided at most {need.most:,}, "
            f"{need.expected:,.0f} on average (d_z {number(need.effect)})."
        )
        minutes = self.minutes(need.fixed)
        if minutes is None:
            return text
        mean = self.minutes(need.expected) or 0.0
        return f"{text} About {duration(60 * minutes)} and {duration(60 * mean)} on this machine."
