"""Steps of Kron on stacked parameters ``[seeds, copies, ...]``, arXiv:1512.04202. Tests: tests/optim/test_kron.py.

Legend: S seeds, C copies; a parameter is a matrix ``[S, C, r, c]`` with two factors or a vector ``[S, C, n]`` with one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.func import vmap
from typing_extensions import override

from composer.networks.modules.noise import normal, uniform
from composer.networks.stacked import per_seed
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Schedule
from composer.optim.steps import CountingState
from composer.spec.shape import Shape

BALANCED: Final = 0.01
"""Share of the factors' updates that begin with factors of equal size."""
TINY: Final = torch.finfo(torch.bfloat16).tiny
"""Added to the norm that a factor's step is divided by."""

Numbers = tuple[float, float, int, float, float, float, float]
"""beta1, rate of the factors, flat updates, decay and bound of their probability, clip, weight decay."""


class KronState(CountingState):
    """Running means ``[S, C, ...]``, the factors ``[S, C, n, n]`` or ``[S, C, n]``, and a random stream per seed."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        hyperparameters: Hyperparameters,
        keys: Sequence[int],
        learning_rate: Schedule,
        numbers: Numbers,
        factors: Mapping[str, Sequence[Shape]],
        decayed: Collection[str],
    ) -> None:
        """``factors`` are the shapes of each parameter's factors, one for each axis of the matrix or vector."""
        super().__init__(parameters, hyperparameters, learning_rate)
        device = self._clock.device
        self._keys = hyperparameters.keep(torch.tensor(list(keys), dtype=torch.int64, device=device))
        self._draws = torch.zeros_like(self._keys)
        self._means = self._zeros()
        self._factors = [
            [identity(value, size) for size in factors[path]]
            for path, value in zip(self._paths, self._parameters, strict=True)
        ]
        beta1, rate, *schedule, clip, decay = (hyperparameters.number(each, dtype=torch.float64) for each in numbers)
        self._beta1, self._factor_rate, self._schedule = beta1, rate.float(), schedule
        self._clip, self._decay = clip.float(), decay.float()
        self._decayed = [numbers[-1] > 0 and path in decayed for path in self._paths]

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step: factors first, where they are due, with the new running mean; then the parameters."""
        rate, probability = self._rate(self._clock).float(), self._probability()
        due = self._uniform() < probability
        balanced = due & (self._uniform() < BALANCED)
        self._clock.add_(1)
        self._steps.add_(1)
        unbias, take = (1 - self._beta1**self._steps.mT).float(), (1 - self._beta1).float()
        # A captured program has no branches; an eager one skips what no seed needs.
        is_needed = torch.compiler.is_compiling() or due.is_cuda or bool(due.any())
        for index, (parameter, gradient, mean) in enumerate(zip(self._parameters, gradients, self._means, strict=True)):
            mean.lerp_(gradient, per_seed(take, gradient))
            direction = as_matrix_or_vector(mean / per_seed(unbias[index], mean))
            factors = self._factors[index]
            if is_needed:
                self._move(factors, direction, due, balanced)
            self._draws.add_(1)
            step = preconditioned(factors, direction)
            size = step.flatten(2).square().mean(2).sqrt()
            step = step * (per_seed(self._clip, size) / (size + 1e-12)).clamp(max=1.0).view(
                *size.shape, *[1] * (step.ndim - 2)
            )
            step = step.reshape(parameter.shape)
            if self._decayed[index]:
                step = step + per_seed(self._decay, parameter) * parameter
            parameter.sub_(per_seed(rate, parameter) * step)

    def _move(self, factors: Sequence[Tensor], direction: Tensor, due: Tensor, balanced: Tensor) -> None:
        """Move the factors of the seeds that are due."""
        even = balance(factors)
        present = [torch.where(per_seed(balanced, q), e, q) for q, e in zip(factors, even, strict=True)]
        moved = moved_factors(present, direction, self._normal(direction), self._factor_rate)
        for factor, new in zip(factors, moved, strict=True):
            factor.copy_(torch.where(per_seed(due, factor), new, factor))

    def _probability(self) -> Tensor:
        """Of moving the factors in this update, ``[S]``."""
        flat, decay, least = self._schedule
        return torch.exp(-decay * (self._clock - flat)).clamp(max=1.0).maximum(least)

    def _uniform(self) -> Tensor:
        drawn: Tensor = vmap(lambda key, draws: uniform(key, draws, (1,)))(self._keys, self._draws)
        self._draws.add_(1)
        return drawn[:, 0]

    def _normal(self, like: Tensor) -> Tensor:
        shape = tuple(like.shape[1:])
        drawn: Tensor = vmap(lambda key, draws: normal(key, draws, shape))(self._keys, self._draws)
        return drawn

    @override
    def begin_anew(self, path: str, seeds: Tensor) -> None:
        """The factors are the identity again."""
        super().begin_anew(path, seeds)
        for factor in self._factors[self._paths.index(path)]:
            factor.copy_(torch.where(per_seed(seeds, factor), identity(factor, factor.shape[2:]), factor))

    @override
    def tensors(self) -> dict[str, Tensor]:
        """``clock``, ``steps``, ``keys``, ``draws``; ``mean.PATH`` and ``factor.N.PATH`` for each parameter."""
        named = {"clock": self._clock, "steps": self._steps, "keys": self._keys, "draws": self._draws}
        for path, mean, factors in zip(self._paths, self._means, self._factors, strict=True):
            named[f"mean.{path}"] = mean
            named |= {f"factor.{number}.{path}": factor for number, factor in enumerate(factors)}
        return named

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return (self._means[self._paths.index(path)],)

    @override
    def beside_moments(self, path: str) -> tuple[Tensor, ...]:
        """The factors."""
        return tuple(self._factors[self._paths.index(path)])

    @override
    def counters(self) -> tuple[Tensor, ...]:
        """The clock, and the count of draws."""
        return self._clock, self._draws


def as_matrix_or_vector(value: Tensor) -> Tensor:
    """``[S, C, n]``, or ``[S, C, r, c]`` with a row for each entry of a parameter's first axis."""
    return value.flatten(3) if value.ndim > 3 else value.reshape(*value.shape[:2], -1)


def identity(like: Tensor, size: Sequence[int]) -> Tensor:
    """The first value of a factor, ``[S, C, *size]``."""
    made = torch.ones(*size, device=like.device) if len(size) == 1 else torch.eye(size[0], device=like.device)
    return made.expand(*like.shape[:2], *size).contiguous()


def preconditioned(factors: Sequence[Tensor], value: Tensor) -> Tensor:
    """``Q1' Q1 m Q2' Q2`` of a matrix, ``Q^2 m`` of a vector with a diagonal factor."""
    for axis, factor in enumerate(factors):
        value = _times(factor, value, axis, transposed=False)
        value = _times(factor, value, axis, transposed=True)
    return value


def moved_factors(factors: Sequence[Tensor], direction: Tensor, probe: Tensor, rate: Tensor) -> list[Tensor]:
    """The factors after one step of size ``rate [S]`` for the pair of ``probe`` and ``direction``."""
    forward, back = direction, probe
    for axis, factor in enumerate(factors):
        forward, back = _times(factor, forward, axis, transposed=False), _solved(factor, back, axis)
    found = []
    for axis, factor in enumerate(factors):
        one, two = (_moment(value, axis, factor) for value in (forward, back))
        change = per_seed(rate, factor) * (one - two)
        if factor.ndim == 3:
            found.append(factor - change * factor / ((one + two).amax(2, keepdim=True) + TINY))
        else:
            bound = spectral_lower_bound(one + two)[..., None, None] + TINY
            found.append(factor - (change.triu() / bound) @ factor)
    return found


def balance(factors: Sequence[Tensor]) -> list[Tensor]:
    """The two factors of a matrix scaled to one largest absolute entry, their product unchanged."""
    if len(factors) < 2:
        return list(factors)
    sizes = torch.stack([factor.flatten(2).abs().amax(2) for factor in factors])
    ratios = sizes.log().mean(0).exp() / sizes
    return [
        factor * ratio.view(*ratio.shape, *[1] * (factor.ndim - 2))
        for factor, ratio in zip(factors, ratios, strict=True)
    ]


def spectral_lower_bound(value: Tensor) -> Tensor:
    """A lower bound ``[S, C]`` of the spectral norm of symmetric matrices: one power step from the longest column."""
    largest = value.flatten(2).abs().amax(2)
    safe = torch.where(largest > 0, largest, 1.0)[..., None, None]
    scaled = value / safe
    longest = scaled.square().sum(-2).argmax(-1)
    column = torch.take_along_dim(scaled, longest[..., None, None], -1)
    reached = scaled @ column
    length = reached.norm(dim=-2, keepdim=True)
    found = (scaled @ (reached / torch.where(length > 0, length, 1.0))).norm(dim=-2)[..., 0]
    bound: Tensor = found * largest
    return bound


def _times(factor: Tensor, value: Tensor, axis: int, transposed: bool) -> Tensor:
    """``Q`` or ``Q'`` applied along an axis of a matrix or vector."""
    if factor.ndim == 3:
        return value * (factor[..., None] if value.ndim == 4 and axis == 0 else _row(factor, value))
    used = factor.mT if transposed else factor
    product: Tensor = used @ value if axis == 0 else value @ used.mT
    return product


def _solved(factor: Tensor, value: Tensor, axis: int) -> Tensor:
    """``Q'^-1`` applied along the first axis of a matrix, ``Q^-1`` from the right along the second."""
    if factor.ndim == 3:
        return value / (factor[..., None] if value.ndim == 4 and axis == 0 else _row(factor, value))
    if axis == 0:
        solved: Tensor = torch.linalg.solve_triangular(factor.mT, value, upper=False)
    else:
        solved = torch.linalg.solve_triangular(factor, value, upper=True, left=False)
    return solved


def _row(factor: Tensor, value: Tensor) -> Tensor:
    return factor[..., None, :] if value.ndim == 4 else factor


def _moment(value: Tensor, axis: int, factor: Tensor) -> Tensor:
    """``X X'`` along an axis, or its diagonal where the factor is diagonal."""
    if factor.ndim == 3:
        return value.square() if value.ndim == 3 else value.square().sum(-1 if axis == 0 else -2)
    return value @ value.mT if axis == 0 else value.mT @ value
