"""The family of optimizers. An optimizer acts on stacked parameters ``[seeds, copies, ...]`` in place."""

from __future__ import annotations

import fnmatch
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from composer.spec.family import Family
from composer.spec.shape import Shape
from composer.spec.wording import spelled, suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.steps import GradientRule, OptimizerState


class Optimizer(Family, family="optimizer"):
    """How gradients move the parameters of one network."""

    takes_two_gradients: ClassVar[bool] = False
    """Whether a step takes the gradient at two points, which several networks with one loss cannot do separately."""

    @property
    def stepping(self) -> Optimizer:
        """The optimizer that moves the parameters: this one, or the one that it wraps."""
        return self

    keeps_first_values: ClassVar[bool] = False
    """Whether its state holds the first values of parameters, so that a parameter cannot get another shape."""

    @abstractmethod
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> OptimizerState:
        """Fresh state for ``parameters`` by path; raises ValueError where a mask matches none of them.

        ``keys`` are the random streams of optimizers that draw noise, one per seed; by default 0, 1, 2 ...
        """

    def gradient_rule(self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters) -> GradientRule | None:
        """Where gradients are taken; None for the present parameters."""
        return None

    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        """Problems of this optimizer with parameters of these paths: pairs of key and message."""
        return ()

    @abstractmethod
    def moments(self) -> int:
        """How many numbers are kept for each entry of a parameter, for the memory forecast: 2 for Adam."""

    def entries(self, shapes: Mapping[str, Shape]) -> int:
        """How many numbers are kept for parameters of these shapes by path, of one copy of one seed."""
        return self.moments() * sum(math.prod(shape) for shape in shapes.values())


def matches(globs: Sequence[str], path: str) -> bool:
    """Whether a parameter path such as ``trunk.0.weight`` matches one of the globs; ``*`` spans dots."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def matching(globs: Sequence[str], paths: Iterable[str]) -> list[str]:
    """The paths that match one of the globs."""
    return [path for path in paths if matches(globs, path)]


def unmatched(globs: Sequence[str], paths: Iterable[str], key: str) -> Iterator[tuple[str, str]]:
    """Problems of the globs under ``key`` that match no path: pairs of key and message."""
    known = list(paths)
    for glob in globs:
        if not matching([glob], known):
            yield key, f"{spelled(glob)} matches no parameter{suggestion(glob, known)}"
