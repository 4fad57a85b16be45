"""Penalties on parameters alone.

Legend: S seeds, C copies. Tests: tests/optim/test_penalties.py, tests/papers/test_penalties_of_spectra.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.outline import ParameterPlan
from composer.optim.penalties.base import Penalty
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor


class L2(Penalty, kind="l2"):
    """``coefficient * sum w^2``: through the gradient, and so through an adaptive optimizer, unlike weight decay."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2", "where": ["critic.*weight"], "coefficient": 1e-4}

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        return _sum_of_squares(value)


class L2Init(Penalty, kind="l2_init"):
    """``coefficient * sum (w - w_0)^2`` with the first draw ``w_0``. Source: Kumar et al., arXiv:2308.11958."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "l2_init", "where": ["critic.*"], "coefficient": 1e-2}
    anchored: ClassVar[bool] = True

    @override
    def anchor(self, value: Tensor) -> Tensor | None:
        return value.detach().clone()

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        return _sum_of_squares(value - anchor)  # type: ignore[operator]


class Wasserstein(Penalty, kind="wasserstein"):
    """``coefficient * sum_i (w_(i) - w_0,(i))^2``, where ``w_(i)`` is the i-th smallest entry of a parameter.

    It is the squared 2-Wasserstein distance, times the number of entries, from the entries now to those of the first
    draw: entries may change places at no cost, and only their distribution is pulled back. Each parameter and copy
    counts for itself. Source: Lewandowski et al., arXiv:2312.00246.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "wasserstein", "where": ["critic.*"], "coefficient": 1e-2}
    anchored: ClassVar[bool] = True

    @override
    def anchor(self, value: Tensor) -> Tensor | None:
        return _sorted(value.detach())

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        return _sum_of_squares(_sorted(value) - anchor)  # type: ignore[operator]


class Parseval(Penalty, kind="parseval"):
    """``coefficient * |W W^T - scale I|_F^2``: rows of each weight matrix are kept orthogonal, of norm ``sqrt(scale)``.

    A convolution counts as a matrix with a row per output channel. With more rows than columns the term cannot reach
    0. The released code multiplies the coefficient by ``(64 / width)^2``, uses 1e-3 or 1e-4, penalises the hidden
    layers of actor and critic, not their output layers, and has a ``scale`` of 2 by default, the square of the gain
    of the orthogonal draw. Parameters with a single axis, such as biases, are left out.
    Source: Chung et al., arXiv:2412.07224.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "parseval", "where": ["critic.trunk.*"], "coefficient": 1e-3}
    of_matrices: ClassVar[bool] = True

    scale: Annotated[float, Field(gt=0, le=1e6)] = 2.0
    """Squared norm that rows are pulled to: the square of the initialiser's gain."""

    @override
    def numbers(self) -> tuple[float, ...]:
        return (self.scale,)

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        import torch

        matrix = value.flatten(3)
        identity = torch.eye(matrix.shape[2], dtype=value.dtype, device=value.device)
        return _sum_of_squares(matrix @ matrix.mT - numbers[0][..., None, None] * identity)


class Spectral(Penalty, kind="spectral"):
    """``coefficient * (s^k - 1)^2`` with the largest singular value ``s`` of each weight and ``k = exponent``.

    A convolution counts as a matrix with a row per output channel. One step of the power method an update, begun
    where the last one ended, estimates ``s``; the gradient passes through the weight and not through the iteration.
    The paper pulls biases to 0 too: write an ``l2`` beside it. Parameters with a single axis are left out.
    Source: Lewandowski et al., arXiv:2406.06811; that its ``k`` is 2 is not verified in the authors' code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "spectral", "where": ["critic.trunk.*"], "coefficient": 1e-3}
    of_matrices: ClassVar[bool] = True

    exponent: Annotated[float, Field(gt=0, le=16)] = 2.0
    """Power of the singular value."""

    @override
    def numbers(self) -> tuple[float, ...]:
        return (self.exponent,)

    @override
    def memory(self, plan: ParameterPlan) -> Shape | None:
        return plan.shape[:1]  # Along the left singular vector.

    @override
    def term(self, value: Tensor, anchor: Tensor | None, memory: Tensor | None, *numbers: Tensor) -> Tensor:
        from torch.nn import functional

        assert memory is not None
        matrix, fixed = value.flatten(3), value.detach().flatten(3)
        right = functional.normalize(memory[:, :, None] @ fixed, dim=-1)
        left = functional.normalize(right @ fixed.mT, dim=-1)
        # The image of a weight of zeros has no direction; from a vector of zeros no step would lead away.
        memory.copy_(left[:, :, 0].where(left.any(-1), memory))
        largest = (left @ matrix @ right.mT)[..., 0, 0]
        return _sum_of_squares(largest.pow(numbers[0]) - 1)


def _sum_of_squares(value: Tensor) -> Tensor:
    """``[S, ...] -> [S]``."""
    return value.square().flatten(1).sum(1)


def _sorted(value: Tensor) -> Tensor:
    """The entries of each copy in ascending order, ``[S, C, n]``."""
    flat = value.flatten(2) if value.ndim > 2 else value[..., None]
    return flat.sort(-1).values
