"""The search space: names, the values that each can take, and the conditions under which it is searched.

Every strategy works on the same space, either through positions in the unit interval (0 is the lowest value, 1 the
highest, on a logarithmic scale if requested) or through the list of a dimension's values. A configuration holds the
names that are active in it, in the order of the file.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from daf.config.sweep import (
    DAFParameterChoices,
    DAFParameterRange,
    Parameter,
    condition_of,
    ordered_by_conditions,
    prior_of,
    same,
)
from daf.config.training import Scalar
from daf.errors import ConfigError

Configuration = dict[str, Scalar]
Draw = Callable[["Dimension"], Scalar]


@dataclass(frozen=True)
class Dimension:
    """One name of the space.

    choices: for a list of values; otherwise numbers from low to high, integers if `whole`, in steps of `step` if given.
    when: the values of other names under which it is searched.
    """

    name: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    log: bool = False
    step: float | None = None
    prior: Scalar | None = None
    when: Mapping[str, tuple[Scalar, ...]] | None = None

    @property
    def spacing(self) -> float | None:
        """The distance between neighbouring numbers; None if the range is continuous."""
        return self.step if self.step is not None else 1.0 if self.whole else None

    @property
    def count(self) -> int | None:
        """The number of values; None for a continuous range."""
        if self.choices:
            return len(self.choices)
        if self.low == self.high:
            return 1
        return None if self.spacing is None else math.floor((self.high - self.low) / self.spacing + 1e-9) + 1

    def nth(self, index: int) -> Scalar:
        """Value number `index` of the `count` values."""
        return self.choices[index] if self.choices else self.number(self.low + index * (self.spacing or 0.0))

    def number(self, value: float) -> Scalar:
        """Convert `value` to this range: clipped to its bounds, rounded to its steps, an integer if required."""
        bounded = min(max(value, self.low), self.high)
        if self.spacing is not None:
            steps = min(round((bounded - self.low) / self.spacing), (self.count or 1) - 1)
            bounded = float(f"{self.low + steps * self.spacing:.12g}")
        return int(bounded) if self.whole else float(bounded)

    def at(self, position: float) -> Scalar:
        """The value at `position`, 0 to 1. Values of a list or in steps occupy intervals of equal length."""
        if self.count is not None and not self.log:
            return self.nth(min(int(position * self.count), self.count - 1))
        if self.log:
            half = 0.5 if self.whole else 0.0
            low, high = math.log(self.low - half), math.log(self.high + half)
            return self.number(math.exp(low + position * (high - low)))
        return self.number(self.low + position * (self.high - self.low))

    def position(self, value: Scalar) -> float:
        """The position of `value`, 0 to 1; in a list, the middle of its interval."""
        if self.choices:
            index = next(i for i, choice in enumerate(self.choices) if same(choice, value))
            return (index + 0.5) / len(self.choices)
        if self.low == self.high:
            return 0.5
        number = float(value)
        if self.log:
            return (math.log(number) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (number - self.low) / (self.high - self.low)

    def sample(self, generator: np.random.Generator) -> Scalar:
        """A value drawn uniformly, on a logarithmic scale if requested."""
        if self.choices or (self.spacing is not None and not self.log):
            return self.nth(int(generator.integers(self.count or 1)))
        position = generator.random()
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return self.number(math.exp(low + (high - low) * position))
        return self.number(self.low + (self.high - self.low) * position)

    def neighbour(self, value: Scalar, *, up: bool, factor: float, generator: np.random.Generator) -> Scalar:
        """A value near `value`: a number is multiplied by 1 ± `factor`, of choices it is the next or previous one.

        Integers move by at least one step. 0 is drawn again, because multiplying never moves it.
        """
        if self.choices:
            places = [place for place, choice in enumerate(self.choices) if same(choice, value)]
            place = places[0] + (1 if up else -1) if places else 0
            return self.choices[min(len(self.choices) - 1, max(0, place))]
        number = float(value)
        near = self.number(number * (1 + factor if up else 1 - factor))
        if near == value and self.whole:  # the number is too small for the factor
            near = self.number(number + (1 if up else -1) * (self.step or 1))
        return near if near != 0 or value != 0 else self.sample(generator)


@dataclass(frozen=True)
class Space:
    """dimensions: in the order of the file. order: the same, each after those that its condition refers to."""

    dimensions: tuple[Dimension, ...]
    order: tuple[Dimension, ...]

    def configure(self, draw: Draw, fixed: Mapping[str, Scalar] | None = None) -> Configuration:
        """A configuration: values from `fixed` if present, from `draw` for the other active names."""
        given = fixed or {}
        found: Configuration = {}
        for dimension in self.order:
            if self.active(dimension, found):
                found[dimension.name] = given[dimension.name] if dimension.name in given else draw(dimension)
        return {d.name: found[d.name] for d in self.dimensions if d.name in found}

    @staticmethod
    def active(dimension: Dimension, values: Mapping[str, Scalar]) -> bool:
        """Whether `dimension` is searched given the `values` of its predecessors."""
        return all(
            name in values and any(same(values[name], value) for value in allowed)
            for name, allowed in (dimension.when or {}).items()
        )

    @property
    def conditional(self) -> bool:
        return any(dimension.when for dimension in self.dimensions)

    def size(self) -> int | None:
        """The number of configurations; None if a range is continuous."""
        if any(dimension.count is None for dimension in self.dimensions):
            return None
        parents = {name for dimension in self.dimensions for name in dimension.when or {}}
        structural = [dimension for dimension in self.order if dimension.name in parents]
        total = 0
        for values in _assignments(structural):
            cells = 1
            for dimension in self.order:
                if dimension.name not in parents and self.active(dimension, values):
                    cells *= dimension.count or 1
            total += cells
        return total

    def cells(self) -> Iterator[Configuration]:
        """Every configuration once, the last name changing fastest. Raises `ConfigError` for a continuous range."""
        for dimension in self.dimensions:
            if dimension.count is None:
                raise ConfigError(f"search_space.{dimension.name}: a grid needs a step, or a list of choices.")
        for found in _assignments(list(self.order)):
            yield {d.name: found[d.name] for d in self.dimensions if d.name in found}


def space_of(search_space: Mapping[str, Parameter], *, whole: Collection[str] = ()) -> Space:
    """The space of a configuration. whole: names that require integers, whether or not the file sets this.

    Raises `ConfigError` if such a name has a range of other numbers, and for choices that are listed twice.
    """
    found = {name: dimension_of(name, parameter, name in whole) for name, parameter in search_space.items()}
    for dimension in found.values():
        _check_choices(dimension)
    order = ordered_by_conditions(search_space)
    return Space(tuple(found.values()), tuple(found[name] for name in order))


def dimension_of(name: str, parameter: Parameter, whole: bool = False) -> Dimension:
    """The values that `parameter` allows. Raises `ConfigError`."""
    when = {other: tuple(values) for other, values in condition_of(parameter).items()}
    if isinstance(parameter, DAFParameterRange):
        numbers = [parameter.min, parameter.max, parameter.step, parameter.prior]
        if whole and any(number is not None and number != int(number) for number in numbers):
            raise ConfigError(f"search_space.{name}: takes integers; write min, max and step as integers.")
        return Dimension(
            name,
            low=parameter.min,
            high=parameter.max,
            whole=whole or parameter.type == "int",
            log=parameter.log,
            step=parameter.step,
            prior=prior_of(parameter),
            when=when,
        )
    choices = parameter.choices if isinstance(parameter, DAFParameterChoices) else parameter
    return Dimension(name, choices=tuple(choices), prior=prior_of(parameter), when=when)


def _check_choices(dimension: Dimension) -> None:
    for index, choice in enumerate(dimension.choices):
        if any(same(choice, other) for other in dimension.choices[:index]):
            raise ConfigError(f"search_space.{dimension.name}: {choice!r} is listed twice.")
        for other in dimension.choices[:index]:
            if choice == other:
                raise ConfigError(
                    f"search_space.{dimension.name}: {other!r} and {choice!r} are equal and of different types, so "
                    "strategies can't distinguish them. Leave one out, or search them in two sweeps."
                )


def _assignments(dimensions: list[Dimension]) -> Iterator[Configuration]:
    """Every assignment of these dimensions, each only if its condition holds, in the order given."""

    def extend(index: int, values: Configuration) -> Iterator[Configuration]:
        if index == len(dimensions):
            yield dict(values)
            return
        dimension = dimensions[index]
        if not Space.active(dimension, values):
            yield from extend(index + 1, values)
            return
        for place in range(dimension.count or 1):
            values[dimension.name] = dimension.nth(place)
            yield from extend(index + 1, values)
        del values[dimension.name]

    yield from extend(0, {})
