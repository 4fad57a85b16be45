"""Steps of TRAC on stacked parameters, arXiv:2405.16642. Tests: tests/papers/test_trac.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from composer.networks.stacked import per_seed
from composer.optim.steps import OptimizerState

DECAYS = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
SMALL = 1e-8
"""The first scale, the first ``q``, and what keeps divisions from 0."""
SPACING = 0.25
LARGEST = 26.0
"""Above, ``erfi`` leaves float64."""


class TracState(OptimizerState):
    """The state of the base optimizer, the first weights, and two sums ``[seeds, 6]``."""

    def __init__(self, parameters: Mapping[str, Tensor], base: OptimizerState) -> None:
        self._base, self._parameters = base, parameters
        self._first = {path: value.detach().clone() for path, value in parameters.items()}
        clock = base.clock()
        self._sums = torch.full((len(clock), len(DECAYS)), SMALL, dtype=torch.float64, device=clock.device)
        self._squares = torch.zeros_like(self._sums)
        self._decays = torch.tensor(DECAYS, dtype=torch.float64, device=clock.device)

    @override
    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step, algorithm 1: the base's, then the scale of the distance from the first weights."""
        before = {path: value.detach().clone() for path, value in self._parameters.items()}
        inverse = 1 / (self._scale() + SMALL)
        moved = {
            path: (value - self._first[path]) * per_seed(inverse.to(value.dtype), value)
            for path, value in before.items()
        }
        pairs = zip(moved.values(), gradients, strict=True)
        product = torch.stack([(d * g).flatten(1).sum(1).double() for d, g in pairs]).sum(0)[:, None]
        self._base.step(gradients)
        self._squares.mul_(self._decays**2).add_(product**2)
        self._sums.mul_(self._decays).sub_(product)
        scale = self._scale().clamp_min(0)
        for path, value in self._parameters.items():
            distance = moved[path] + (value - before[path])
            value.copy_(self._first[path] + distance * per_seed(scale.to(value.dtype), value))

    def _scale(self) -> Tensor:
        """``S [seeds]``."""
        scales: Tensor = erfi(self._sums / ((2 * self._squares).sqrt() + SMALL)) * (SMALL / _ERFI_OF_ROOT_HALF)
        return scales.sum(1)

    @override
    def tensors(self) -> dict[str, Tensor]:
        """The base's; ``trac_sums``, ``trac_squares``, and ``first_weights.PATH`` for each parameter."""
        named = {"trac_sums": self._sums, "trac_squares": self._squares}
        return self._base.tensors() | named | {f"first_weights.{path}": value for path, value in self._first.items()}

    @override
    def paths(self) -> Sequence[str]:
        return self._base.paths()

    @override
    def moments(self, path: str) -> tuple[Tensor, ...]:
        return self._base.moments(path)

    @override
    def count(self, path: str) -> Tensor:
        return self._base.count(path)

    @override
    def clock(self) -> Tensor:
        return self._base.clock()

    @override
    def counters(self) -> tuple[Tensor, ...]:
        """The base's, and the two sums."""
        return *self._base.counters(), self._sums, self._squares

    @override
    def origin(self, path: str) -> Tensor | None:
        return self._first[path]

    @override
    def beside_moments(self, path: str) -> tuple[Tensor, ...]:
        return self._base.beside_moments(path)

    @override
    def begin_anew(self, path: str, seeds: Tensor) -> None:
        self._base.begin_anew(path, seeds)

    @override
    def begin_schedules(self, seeds: Tensor) -> None:
        self._base.begin_schedules(seeds)


def erfi(x: Tensor) -> Tensor:
    """The imaginary error function, ``2 / sqrt(pi) int_0^x exp(t^2) dt``, for float64 up to 26.

    Rybicki's sum ``4 / pi sum exp(-n^2 a^2) sinh(2 n a x) / n`` over odd n, whose error is below ``exp(-(pi / 2 a)^2)``
    of the Dawson function: 1e-17 here. Source: Rybicki, Computers in Physics 3, 1989.
    """
    odd = torch.arange(1, 2 * math.ceil((LARGEST + 7) / SPACING / 2), 2, dtype=x.dtype, device=x.device)
    size = x.abs().clamp_max(LARGEST)[..., None]
    step = 2 * SPACING * odd * size
    terms = (step - (SPACING * odd) ** 2).exp() * -torch.expm1(-2 * step) / odd
    return x.sign() * terms.sum(-1) * (2 / math.pi)


_ERFI_OF_ROOT_HALF = float(erfi(torch.tensor(math.sqrt(0.5), dtype=torch.float64)))
