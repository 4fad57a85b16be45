"""The family of optimizers. An optimizer acts on stacked parameters ``[seeds, copies, ...]`` in place."""

from __future__ import annotations

import fnmatch
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from composer.spec.family import Family

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.steps import OptimizerState


class Optimizer(Family, family="optimizer"):
    """How gradients move the parameters of one network."""

    @property
    def stepping(self) -> Optimizer:
        """The optimizer that moves the parameters: this one, or the one that it wraps."""
        return self

    @abstractmethod
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> OptimizerState:
        """Fresh state for ``parameters`` by path; raises ValueError where a mask matches none of them.

        ``keys`` are the random streams of optimizers that draw noise, one per seed; by default 0, 1, 2 ...
        """

    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        """Problems of this optimizer with parameters of these paths: pairs of key and message."""
        return ()

    @abstractmethod
    def moments(self) -> int:
        """Numbers kept for each entry of a parameter, for the memory forecast."""


def matches(globs: Sequence[str], path: str) -> bool:
    """Whether a parameter path such as ``trunk.0.weight`` matches one of the globs; ``*`` spans dots."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def unmatched(globs: Sequence[str], paths: Iterable[str]) -> list[str]:
    """The globs that match no path."""
    known = list(paths)
    return [glob for glob in globs if not any(fnmatch.fnmatchcase(path, glob) for path in known)]
