"""Returns as expectations, probabilities at atoms, or quantiles: how to read the raw output of a value head.

``raw`` is the output of a value head; ``[...]`` are batch axes (and actions, where it has them), N atoms or quantiles.
An algorithm that uses ``Returns`` works with every value head. Tests: tests/papers/test_returns.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

RawOutput: TypeAlias = Tensor | tuple[Tensor, Tensor]
"""``[...]`` of a point, ``[..., N]`` logits or quantiles; of implicit quantiles ``[..., N]`` and their levels."""


R = TypeVar("R")


class Returns(Protocol[R]):
    """A representation of returns, as algorithms use it; ``R`` is the type of its head's raw output."""

    is_expectation: ClassVar[bool]
    """Whether the raw output is the expected return itself."""

    def value(self, raw: R) -> Tensor:
        """The expected return, ``[...]``."""

    def transform(self, raw: R, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """The target for ``shift + scale * (Z + bonus)`` with the return Z of ``raw``; other arguments ``[...]``."""

    def average(self, raw: R, axis: int) -> R:
        """Raw output of the average of several distributions along ``axis``, a batch axis (not negative)."""

    def distance(self, raw: R) -> Tensor:
        """How far two returns ``[S, 2, ...]`` are apart, ``[S, ...]``: the mean distance of their quantiles."""

    def loss(self, raw: R, target: Tensor) -> Tensor:
        """The loss of ``raw`` against a target, ``[...]``; batch axes broadcast."""


class Point:
    """A return as its expectation alone, ``[...]``."""

    is_expectation: ClassVar[bool] = True

    def __init__(self, huber: float | None = None) -> None:
        """``huber``: the error beyond which the loss is linear; None for a loss that is quadratic throughout."""
        self.huber = huber

    def value(self, raw: Tensor) -> Tensor:
        """The raw output itself."""
        return raw

    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """``shift + scale * (raw + bonus)``."""
        return shift + scale * (raw + bonus)

    def average(self, raw: Tensor, axis: int) -> Tensor:
        """The mean."""
        return raw.mean(axis)

    def distance(self, raw: Tensor) -> Tensor:
        """Of the expectations."""
        return (raw[:, 0] - raw[:, 1]).abs()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """``(raw - target)^2``, not halved; or the Huber loss, ``error^2 / 2`` near 0, whose slope is the cut error."""
        if self.huber is None:
            return (raw - target).square()
        size = (raw - target).abs()
        near = size.clamp_max(self.huber)
        return near * (size - 0.5 * near)


class Categorical(ABC):
    """A return as logits of its probabilities at N evenly spaced atoms, ``[..., N]``; targets are probabilities.

    Built under the device on which it is used: ``with torch.device(...)``.
    """

    is_expectation: ClassVar[bool] = False

    def __init__(self, atoms: int, low: float, high: float) -> None:
        """Atoms from ``low`` to ``high``, both included."""
        # Tensors, so that agents with other atoms share one compiled program.
        self.support = torch.linspace(low, high, atoms)
        self.index = torch.arange(atoms, dtype=torch.float32)
        self.low, self.high = torch.tensor(low), torch.tensor(high)
        self.spacing = torch.tensor((high - low) / (atoms - 1))

    def value(self, raw: Tensor) -> Tensor:
        """The expectation."""
        return (raw.softmax(-1) * self.support).sum(-1)

    @abstractmethod
    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """Probabilities ``[..., N]``."""

    def average(self, raw: Tensor, axis: int) -> Tensor:
        """Logits of the mixture: the mean of the probabilities."""
        return raw.log_softmax(-1).logsumexp(axis) - math.log(raw.shape[axis])

    def distance(self, raw: Tensor) -> Tensor:
        """The area between the two distribution functions."""
        chances = raw.softmax(-1)
        area: Tensor = (chances[:, 0] - chances[:, 1]).cumsum(-1).abs().sum(-1) * self.spacing
        return area

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """The cross-entropy, ``-sum_i p_i log q_i``."""
        return -(target * raw.log_softmax(-1)).sum(-1)

    def project(self, points: Tensor, probabilities: Tensor) -> Tensor:
        """Probabilities ``[..., M]`` of points, each spread over its two nearest atoms: ``[..., N]``.

        Source: Eq. 7 of arXiv:1707.06887. Points beyond the support count as its ends; within, the mean is kept.
        """
        position = (points.clamp(self.low, self.high) - self.low) / self.spacing
        # The share of an atom falls linearly with its distance. A point on an atom gives it everything, which floor and
        # ceiling would lose; and nothing is scattered, since the order of additions on a GPU is not fixed.
        share = (1 - (position[..., None, :] - self.index[:, None]).abs()).clamp_min(0)
        return (share * probabilities[..., None, :]).sum(-1)


class C51(Categorical):
    """The target is the whole next distribution, moved and projected. Source: arXiv:1707.06887."""

    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """The atoms move with their probabilities, which are then projected onto the support."""
        moved = (shift + scale * bonus)[..., None] + scale[..., None] * self.support
        return self.project(moved, raw.softmax(-1))


class TwoHot(Categorical):
    """The target is the expectation, spread over the two nearest atoms."""

    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """The expectation, projected onto its two nearest atoms."""
        return self.encoded(shift + scale * (self.value(raw) + bonus))

    def encoded(self, numbers: Tensor) -> Tensor:
        """Probabilities ``[..., N]`` of numbers ``[...]``, each spread over its two nearest atoms."""
        points = numbers[..., None]
        return self.project(points, torch.ones_like(points))


class HLGauss(Categorical):
    """The target is the expectation, spread over bins around the atoms by a Gaussian.

    Source: Imani and White, arXiv:1806.04613; Farebrother et al., arXiv:2403.03950, whose listing takes the outer
    edges of the bins for ``low`` and ``high``, half a bin further out than the atoms are here.
    """

    def __init__(self, atoms: int, low: float, high: float, sigma_ratio: float) -> None:
        """The Gaussian's standard deviation is ``sigma_ratio`` times the distance of two atoms."""
        super().__init__(atoms, low, high)
        half = (high - low) / (atoms - 1) / 2
        self.edges = torch.linspace(low - half, high + half, atoms + 1)
        self.reach = torch.tensor(math.sqrt(2.0) * sigma_ratio * 2 * half)

    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """The Gaussian's mass in each bin, divided by its mass in all of them."""
        # Clipped, because far outside all of these masses round to zero.
        point = (shift + scale * (self.value(raw) + bonus)).clamp(self.low, self.high)
        below = torch.erf((self.edges - point[..., None]) / self.reach)
        return below.diff(dim=-1) / (below[..., -1:] - below[..., :1])


class Quantile:
    """A return as its quantiles at the levels (i + 1/2) / N, ``[..., N]``. Source: QR-DQN, arXiv:1710.10044."""

    is_expectation: ClassVar[bool] = False

    def __init__(self, quantiles: int, kappa: float) -> None:
        """``kappa``: the error at which the loss turns from quadratic to linear."""
        self.levels = (torch.arange(quantiles, dtype=torch.float32) + 0.5) / quantiles
        self.kappa = kappa

    def value(self, raw: Tensor) -> Tensor:
        """The mean of the quantiles."""
        return raw.mean(-1)

    def transform(self, raw: Tensor, shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
        """Quantiles ``[..., N]``, each shifted and scaled."""
        return (shift + scale * bonus)[..., None] + scale[..., None] * raw

    def average(self, raw: Tensor, axis: int) -> Tensor:
        """Quantile by quantile, as BRO's critics are averaged, arXiv:2405.16158."""
        return raw.mean(axis)

    def distance(self, raw: Tensor) -> Tensor:
        """Quantile by quantile, as in BRO's optimistic actor, arXiv:2405.16158."""
        return (raw[:, 0] - raw[:, 1]).abs().mean(-1)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """The quantile Huber loss."""
        return quantile_huber(raw, self.levels, target, self.kappa)


class ImplicitQuantile:
    """A return as quantiles and their levels, a pair of ``[..., N]``. Source: IQN, arXiv:1806.06923."""

    is_expectation: ClassVar[bool] = False

    def __init__(self, kappa: float) -> None:
        """``kappa``: the error at which the loss turns from quadratic to linear."""
        self.kappa = kappa

    def value(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """The mean of the quantiles: of all levels alike, drawn or midpoints."""
        return raw[0].mean(-1)

    def transform(
        self, raw: tuple[Tensor, Tensor], shift: Tensor, scale: Tensor, bonus: Tensor | float = 0.0
    ) -> Tensor:
        """Quantiles ``[..., N]``, each shifted and scaled; targets need no levels."""
        return (shift + scale * bonus)[..., None] + scale[..., None] * raw[0]

    def average(self, raw: tuple[Tensor, Tensor], axis: int) -> tuple[Tensor, Tensor]:
        """Quantile by quantile, which takes copies evaluated at the same levels, as in evaluation mode."""
        return raw[0].mean(axis), raw[1].mean(axis)

    def distance(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """Quantile by quantile, at the same levels."""
        return (raw[0][:, 0] - raw[0][:, 1]).abs().mean(-1)

    def loss(self, raw: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        """The quantile Huber loss at the levels of ``raw``."""
        return quantile_huber(*raw, target, self.kappa)


def quantile_huber(predicted: Tensor, levels: Tensor, target: Tensor, kappa: float) -> Tensor:
    """Sum over predicted quantiles of the mean over targets of ``|tau - 1{u < 0}| L(u) / kappa``.

    ``u`` is target minus predicted.

    Args:
        predicted: ``[..., N]``.
        levels: ``[..., N]`` or ``[N]``, the levels tau of the predicted quantiles.
        target: ``[..., M]``, samples or quantiles of equal weight.
        kappa: L is the Huber loss with this threshold, divided by it as in arXiv:1806.06923 (Eq. 10 of
            arXiv:1710.10044 does not divide; at 1 they agree); 0 gives ``|u|``, the limit.

    Returns:
        The loss of each sample, ``[...]``.
    """
    error = target[..., None, :] - predicted[..., None]
    size = error.abs()
    if kappa:
        near = size.clamp_max(kappa)
        size = near * (size - 0.5 * near) / kappa
    weight = (levels[..., None] - (error < 0).to(levels.dtype)).abs()
    return (weight * size).mean(-1).sum(-1)


def lowest(raw: RawOutput, value: Tensor, axis: int) -> RawOutput:
    """The distribution of lowest value among several along a batch axis, sample by sample, the first of equals.

    ``value [...]`` is that of ``raw``. Of expectations the minimum; of distributions SimbaV2's rule, arXiv:2502.15280.
    """
    return chosen(raw, value.argmin(axis, keepdim=True), axis)


def chosen(raw: RawOutput, index: Tensor, axis: int) -> RawOutput:
    """The distribution at ``index`` (size 1 along ``axis``) among several along a batch axis, which is removed."""
    if isinstance(raw, tuple):
        return _taken(raw[0], index, axis), _taken(raw[1], index, axis)
    return _taken(raw, index, axis)


def halves(raw: Any) -> tuple[Any, Any]:
    """The raw outputs ``[S, C, B, ...]`` of both halves of a joint batch, from ``[S, C, 2 B, ...]``."""
    if isinstance(raw, tuple):
        pairs = [each.chunk(2, 2) for each in raw]
        return tuple(first for first, _ in pairs), tuple(second for _, second in pairs)
    return raw.chunk(2, 2)  # type: ignore[no-any-return]


def of_only_copy(raw: Any) -> Any:
    """The raw output ``[S, B, ...]`` of a network with a single copy, from ``[S, 1, B, ...]``."""
    return tuple(each[:, 0] for each in raw) if isinstance(raw, tuple) else raw[:, 0]


def _taken(values: Tensor, index: Tensor, axis: int) -> Tensor:
    index = index.view(*index.shape, *[1] * (values.ndim - index.ndim))
    return values.take_along_dim(index, axis).squeeze(axis)
