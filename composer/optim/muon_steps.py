"""Steps of Muon on stacked parameters ``[seeds, copies, ...]``. Tests: tests/optim/test_muon.py."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from composer.networks.stacked import per_seed
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule
from composer.optim.steps import CountingState, OptimizerState

SMALLEST = 1e-7
"""Lower bound of the norm by which a matrix is divided."""


class OrthogonalState(CountingState):
    """Running means ``[seeds, copies, ...]`` of the gradients of matrices and kernels."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        learning_rate: Schedule,
        momentum: float,
        nesterov: bool,
        coefficients: tuple[float, float, float],
        steps: int,
        scale: str,
        weight_decay: float,
        decayed: Collection[str],
    ) -> None:
        """``scale`` is ``rows``, ``adamw`` or ``none``."""
        super().__init__(parameters, hyperparameters, learning_rate)
        self._means = self._zeros()
        self._momentum, self._decay = (hyperparameters.number(each) for each in (momentum, weight_decay))
        self._coefficients = [hyperparameters.number(each) for each in coefficients]
        self._nesterov, self._iterations = nesterov, steps
        self._decayed = [weight_decay > 0 and path in decayed for path in self._paths]
        self._factors = [step_factor(scale, *as_matrix(value).shape[2:]) for value in self._parameters]

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step: decay first, then the orthogonal direction."""
        rate = self._rate(self._clock).float()
        self._clock.add_(1)
        self._steps.add_(1)
        for parameter, gradient, mean, decays, factor in zip(
            self._parameters, gradients, self._means, self._decayed, self._factors, strict=True
        ):
            keep = per_seed(self._momentum, gradient)
            mean.lerp_(gradient, 1 - keep)
            direction = gradient.lerp(mean, keep) if self._nesterov else mean
            matrix = orthogonal(as_matrix(direction), self._coefficients, self._iterations)
            if decays:
                parameter.mul_(per_seed(1 - rate * self._decay, parameter))
            parameter.sub_(per_seed(rate * factor, parameter) * matrix.reshape(parameter.shape))

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, and ``mean.PATH`` for each matrix."""
        named = {f"mean.{path}": mean for path, mean in zip(self._paths, self._means, strict=True)}
        return {"clock": self._clock, "steps": self._steps, **named}

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return (self._means[self._paths.index(path)],)


class MuonState(OptimizerState):
    """The state of the matrices beside that of all other parameters."""

    def __init__(self, paths: Sequence[str], hidden: OrthogonalState, rest: OptimizerState | None) -> None:
        """``paths`` are those of both, in the order in which gradients come."""
        self._paths, self._parts = list(paths), [hidden] if rest is None else [hidden, rest]
        self._names = ["hidden", "rest"]
        self._owner = {path: part for part in self._parts for path in part.paths()}

    @override
    def step(self, gradients: Sequence[Tensor]) -> None:
        given = dict(zip(self._paths, gradients, strict=True))
        for part in self._parts:
            part.step([given[path] for path in part.paths()])

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``hidden.NAME`` and ``rest.NAME`` of either state."""
        parts = zip(self._names, self._parts, strict=False)
        return {f"{name}.{key}": value for name, part in parts for key, value in part.tensors().items()}

    @override
    def paths(self) -> Sequence[str]:
        return self._paths

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return self._owner[path].moments(path)

    @override
    def beside_moments(self, path: str) -> tuple[Tensor, ...]:
        return self._owner[path].beside_moments(path)

    @override
    def origin(self, path: str) -> Tensor | None:
        return self._owner[path].origin(path)

    @override
    def count(self, path: str) -> Tensor:
        return self._owner[path].count(path)

    @override
    def begin_anew(self, path: str, seeds: Tensor) -> None:
        self._owner[path].begin_anew(path, seeds)

    @override
    def begin_schedules(self, seeds: Tensor) -> None:
        for part in self._parts:
            part.begin_schedules(seeds)

    @override
    def clock(self) -> Tensor:
        return self._parts[0].clock()

    @override
    def counters(self) -> tuple[Tensor, ...]:
        """Those of both states."""
        return tuple(counter for part in self._parts for counter in part.counters())


def orthogonal(matrix: Tensor, coefficients: Sequence[Tensor], steps: int) -> Tensor:
    """``[S, C, r, c]`` with singular values near 1, after as many Newton-Schulz steps; coefficients are ``[S]``."""
    a, b, c = (per_seed(each, matrix) for each in coefficients)
    is_tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if is_tall else matrix
    x = x / x.flatten(2).norm(dim=2)[..., None, None].clamp_min(SMALLEST)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    found: Tensor = x.mT if is_tall else x
    return found


def as_matrix(value: Tensor) -> Tensor:
    """``[S, C, r, ...]`` as ``[S, C, r, c]``: a kernel has a row for each output channel."""
    return value.flatten(3)


def step_factor(scale: str, rows: int, columns: int) -> float:
    """The factor on the step of a matrix, by the name of the rule."""
    if scale == "rows":
        return math.sqrt(max(1.0, rows / columns))
    return 0.2 * math.sqrt(max(rows, columns)) if scale == "adamw" else 1.0
