"""Entry-wise nonlinearities: any shape to the same shape, no parameters. Tests: tests/papers/test_block_formulas.py.

Costs count each arithmetic operation and each elementary function (exp, erf, tanh) as one operation an entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


def _entrywise(block: Block, shape: Shape, operations: int) -> Outline:
    return Outline(block.kind, shape, shape, flops=operations * math.prod(shape))


class Relu(Block, kind="relu"):
    """Positive part: ``max(x, 0)``. Source: Nair and Hinton, ICML 2010."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "relu"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """One operation an entry."""
        return _entrywise(self, shape, 1)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.ReLU``."""
        return call("torch.nn:ReLU")


class Gelu(Block, kind="gelu"):
    """Gaussian error linear unit, exact: ``x (1 + erf(x / sqrt 2)) / 2``. Source: arXiv:1606.08415.

    JAX's default is the tanh approximation, which differs by up to 5e-4.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gelu"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """Five operations an entry."""
        return _entrywise(self, shape, 5)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.GELU``."""
        return call("torch.nn:GELU")


class Silu(Block, kind="silu"):
    """Sigmoid linear unit: ``x / (1 + exp(-x))``. Source: Elfwing et al., arXiv:1702.03118."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "silu"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """Four operations an entry."""
        return _entrywise(self, shape, 4)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.SiLU``."""
        return call("torch.nn:SiLU")


class Mish(Block, kind="mish"):
    """Smooth and not monotone: ``x tanh(log(1 + exp(x)))``. Source: Misra, arXiv:1908.08681."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "mish"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """Five operations an entry."""
        return _entrywise(self, shape, 5)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Mish``."""
        return call("torch.nn:Mish")


class Sigmoid(Block, kind="sigmoid"):
    """Logistic function: ``1 / (1 + exp(-x))``, what opens and shuts a gate."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "sigmoid"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """Four operations an entry."""
        return _entrywise(self, shape, 4)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Sigmoid``."""
        return call("torch.nn:Sigmoid")


class Tanh(Block, kind="tanh"):
    """Hyperbolic tangent."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "tanh"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """One operation an entry."""
        return _entrywise(self, shape, 1)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Tanh``."""
        return call("torch.nn:Tanh")


class Elu(Block, kind="elu"):
    """Exponential linear unit: ``x`` above 0, ``alpha (exp(x) - 1)`` below. Source: arXiv:1511.07289."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "elu"}
    is_activation: ClassVar[bool] = True

    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Minus the limit at minus infinity."""

    def outline(self, shape: Shape) -> Outline:
        """Four operations an entry."""
        return _entrywise(self, shape, 4)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.ELU``."""
        return call("torch.nn:ELU", self.alpha)
