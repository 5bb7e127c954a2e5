"""Compare policies until every verdict is decided, without playing more episodes than needed."""

from daf.until_decided._course import FUTILITY, MAX_EPISODES, METHODS, Course, Method, StoppingRule, course_of
from daf.until_decided._rounds import Needs, first_round, look, next_round, open_ones
from daf.until_decided.operation import Decided, Round, compare_until_decided, decided_data

__all__ = [
    "FUTILITY",
    "MAX_EPISODES",
    "METHODS",
    "Course",
    "Decided",
    "Method",
    "Needs",
    "Round",
    "StoppingRule",
    "compare_until_decided",
    "course_of",
    "decided_data",
    "first_round",
    "look",
    "next_round",
    "open_ones",
]
