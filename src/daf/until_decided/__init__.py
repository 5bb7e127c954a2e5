"""Compare policies until every verdict is decided, without playing more episodes than needed."""

from daf.until_decided._rounds import Needs, first_round, look, next_round, open_ones
from daf.until_decided.operation import MAX_EPISODES, Decided, Round, compare_until_decided, decided_data

__all__ = [
    "MAX_EPISODES",
    "Decided",
    "Needs",
    "Round",
    "compare_until_decided",
    "decided_data",
    "first_round",
    "look",
    "next_round",
    "open_ones",
]
