"""Numbers that an option may take: one, a list, or a span divided into buckets.

A bucket represents its part of the span in slices and in the axis values of the table; the tasks in it have `values`
integers of the bucket, evenly spaced. The numbers are the same on every machine and in every run.
"""

import itertools
from typing import Annotated

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from daf.config.base import ConfigModel


class Span(ConfigModel):
    """Integers from `min` to `max`, in buckets of equal width (of equal ratio if `log`)."""

    min: int = Field(ge=1)
    max: int = Field(ge=1)
    buckets: int = Field(default=4, ge=1, le=1000)
    values: int = Field(default=1, ge=1, le=1000, description="Tasks per bucket.")
    log: bool = False

    @model_validator(mode="after")
    def _fits(self) -> "Span":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        room = self.max - self.min + 1
        if self.buckets * self.values > room:
            raise ValueError(
                f"{self.buckets} buckets of {self.values} do not fit between {self.min} and {self.max}: {room} numbers"
            )
        return self


def _shape(value: object) -> str:
    if isinstance(value, list):
        return "list"
    return "span" if isinstance(value, dict | Span) else "number"


Numbers = Annotated[
    Annotated[int, Field(ge=1), Tag("number")]
    | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1), Tag("list")]
    | Annotated[Span, Tag("span")],
    Discriminator(_shape),
]
"""One number, a list of them, or a span."""


def expand(numbers: Numbers) -> list[tuple[int, str | float]]:
    """Each number with its value on the axis: itself, or its bucket as "LOW to HIGH"; ascending for a span."""
    if isinstance(numbers, int):
        return [(numbers, float(numbers))]
    if isinstance(numbers, list):
        return [(number, float(number)) for number in numbers]
    edges = _edges(numbers)
    found: list[tuple[int, str | float]] = []
    for low, high in itertools.pairwise(edges):
        label = f"{low} to {high - 1}" if high - 1 > low else str(low)
        # The middles of `values` equal parts of the bucket: always inside, and all different.
        middles = low + (np.arange(numbers.values) + 0.5) * (high - low) / numbers.values
        found += [(int(number), label) for number in np.floor(middles)]
    return found


def _edges(span: Span) -> list[int]:
    """The first number of each bucket, and the one after the last; every bucket has room for its values."""
    if span.log:
        cuts = np.geomspace(span.min, span.max + 1, span.buckets + 1)
    else:
        cuts = np.linspace(span.min, span.max + 1, span.buckets + 1)
    edges = [round(cut) for cut in cuts]
    for index in range(1, span.buckets):
        edges[index] = max(edges[index], edges[index - 1] + span.values)
    for index in range(span.buckets - 1, 0, -1):
        edges[index] = min(edges[index], edges[index + 1] - span.values)
    return edges
