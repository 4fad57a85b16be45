"""The table ``[search]`` of a study: which keys are searched, over which values, and how.

    [search]
    trials = 40
    [search.space]
    "optimizers.actor.learning_rate" = { low = 1e-5, high = 1e-2, log = true }
    "algorithm.batch_size" = [64, 128, 256]
    width = { keys = ["networks.actor.trunk.width", "networks.critic.trunk.width"], low = 64, high = 512, step = 64 }

Tests: tests/studies/search/test_table.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from composer.blueprint import BlueprintError, flatten
from composer.blueprint.checks.form import validate
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import Node, read_path
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Items, Spec
from composer.studies.study.points import Value

Number = int | float


class Space(Spec):
    """The values that a search may give to one or several keys: a range, or a list of choices."""

    keys: Annotated[Items[str], Field(max_length=64)] = ()
    """Keys of the blueprint that get the value; by default the one that the space is named after."""
    low: Number | None = None
    """The lowest value."""
    high: Number | None = None
    """The highest value."""
    log: bool = False
    """Whether values are drawn evenly on a logarithmic scale."""
    step: Number | None = None
    """Only every ``step``-th value from ``low`` on."""
    choices: Annotated[Items[Value], Field(max_length=1_000)] = ()
    """The values, where they are no range. A list is short for this."""

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return {"choices": value} if isinstance(value, list | tuple) else value

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if read_path(key) is None:
                raise ValueError(f"{key!r} is no key of a blueprint")
        return keys

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices and a range exclude each other")
            if len({(type(each), each) for each in self.choices}) < len(self.choices):
                raise ValueError("a choice is listed twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a range needs both low and high, or write a list of choices")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range has a low above 0, and no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step must be above 0 and at most high - low, got {self.step}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the values of a range are whole numbers."""
        return all(isinstance(each, int) for each in (self.low, self.high, 1 if self.step is None else self.step))

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that are tried before anything is trained: both ends of a range, or every choice."""
        if self.choices:
            return self.choices
        assert self.low is not None and self.high is not None
        if self.step is None:
            return self.low, self.high
        # The last value of the grid, which ends below ``high`` where the step does not divide the range.
        return self.low, self.low + int((self.high - self.low) / self.step * (1 + 1e-12)) * self.step

    @property
    def distribution(self) -> Any:
        """Optuna's distribution over the values."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        low: Any = self.ends[0]
        high: Any = self.ends[-1]
        if self.is_whole:
            return IntDistribution(low, high, log=self.log, step=int(self.step or 1))
        return FloatDistribution(low, high, log=self.log, step=self.step)

    def holds(self, value: object) -> bool:
        """Whether the search could choose ``value``."""
        if self.choices:
            return any(type(value) is type(each) and value == each for each in self.choices)
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return False
        if not self.ends[0] <= value <= self.ends[-1]:  # type: ignore[operator]
            return False
        return self.step is None or abs((value - self.ends[0]) / self.step % 1) < 1e-9  # type: ignore[operator]


class SearchTable(Spec):
    """The table ``[search]``."""

    trials: Annotated[int, Field(ge=1, le=100_000)] = 30
    """Trials in all: combinations of values that are trained, each on every task with every seed."""
    metric: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    """The metric whose interquartile mean over seeds and tasks, at the end of training, is the score of a trial.

    By default that of the environment's evaluation.
    """
    maximise: bool = True
    """Whether a high score is good."""
    sampler: Literal["tpe", "random"] = "tpe"
    """Who chooses values: a tree-structured Parzen estimator, which learns from earlier trials, or chance."""
    startup: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Trials at random values before the sampler uses their scores. The first trial has the blueprint's own."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Seed of the sampler, not of training."""
    pruner: Literal["median", "asha", "none"] = "median"
    """Which trials are stopped early: those worse than the median of finished trials at the same step; all but the
    better half at each doubling of the length (asynchronous successive halving); or none."""
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    """Share of a trial's length before which it is never stopped."""
    space: Annotated[dict[str, Space], Field(min_length=1, max_length=64)]
    """The values to search, by key of the blueprint or by a name that has ``keys``."""

    @field_validator("space")
    @classmethod
    def _has_keys(cls, space: dict[str, Space]) -> dict[str, Space]:
        owners: dict[str, str] = {}
        for name, each in space.items():
            if not each.keys and "." not in name:
                raise ValueError(f"{name!r} is no key such as algorithm.batch_size, and has no keys")
            if not each.keys and read_path(name) is None:
                raise ValueError(f"{name!r} is no key of a blueprint")
            for key in each.keys or (name,):
                if key in owners:
                    raise ValueError(f"{key!r} is set by both {owners[key]!r} and {name!r}")
                owners[key] = name
        return space

    def overrides(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """What ``values``, by the names of their spaces, set: ``KEY=VALUE``."""
        found = ((key, value) for name, value in values.items() for key in self.space[name].keys or (name,))
        return tuple(f"{key}={toml_value(value)}" for key, value in found)

    def present(self, blueprints: Sequence[Blueprint]) -> dict[str, Value] | None:
        """The values that the blueprints have now, where they agree and the search could choose them; else None."""
        flat = [flatten(blueprint) for blueprint in blueprints]
        found: dict[str, Value] = {}
        for name, space in self.space.items():
            values = {(type(value), value) for each in flat for value in map(each.get, space.keys or (name,))}
            value = next(iter(values))[1]
            if len(values) > 1 or not space.holds(value):
                return None
            assert value is not None
            found[name] = value
        return found


def read_search(node: Node) -> SearchTable:
    """The table ``[search]`` at ``node`` of a study; raises BlueprintError with every problem, at its line."""
    table, problems = validate(node, frozenset(), SearchTable)
    if table is None or problems:
        raise BlueprintError(replace(each, path=f"search.{each.path}".rstrip(".")) for each in problems)
    return table
