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
        """Fresh state for ``parameters``, by path; raises ValueError where a mask matches none of them.

        ``keys``, one a seed, are the random streams of optimizers that draw; by default the seeds are numbered.
        """

    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        """What is wrong with this optimizer for parameters of these paths: pairs of key and message."""
        return ()

    @abstractmethod
    def moments(self) -> int:
        """How many numbers the optimizer keeps beside each parameter, for the memory forecast."""


def matches(globs: Sequence[str], path: str) -> bool:
    """Whether a parameter path such as ``trunk.0.weight`` matches one of the globs; ``*`` spans dots."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def unmatched(globs: Sequence[str], paths: Iterable[str]) -> list[str]:
    """The globs that match no path at all: each is an error of whoever wrote it."""
    known = list(paths)
    return [glob for glob in globs if not any(fnmatch.fnmatchcase(path, glob) for path in known)]
