"""Entry-wise nonlinearities: any shape to the same shape, no parameters. Tests: tests/papers/test_block_formulas.py.

Costs count each arithmetic operation and each elementary function (exp, erf, tanh) as one operation per entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Activation(Block, abstract=True):
    """An entry-wise nonlinearity that is a module of torch's."""

    is_activation = True
    units = "keeps"

    operations: ClassVar[int]
    """Operations per entry."""
    target: ClassVar[str]
    """The module, as ``torch.nn:NAME``."""

    @override
    def outline(self, shape: Shape) -> Outline:
        return Outline(self.kind, shape, shape, flops=self.operations * math.prod(shape))

    @override
    def module(self, shape: Shape) -> LazyCall:
        return call(self.target)


class Relu(Activation, kind="relu"):
    """Positive part: ``max(x, 0)``. Source: Nair and Hinton, ICML 2010."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "relu"}
    operations, target = 1, "torch.nn:ReLU"
    is_idempotent = True


class LeakyRelu(Activation, kind="leaky_relu"):
    """ReLU with a slope below 0: ``x`` above 0, ``slope x`` below, so that no unit is without a gradient.

    Source: Maas et al., ICML 2013.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "leaky_relu"}
    operations, target = 2, "torch.nn:LeakyReLU"

    slope: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Slope below 0."""

    @override
    def module(self, shape: Shape) -> LazyCall:
        return call(self.target, self.slope)


class Gelu(Activation, kind="gelu"):
    """Gaussian error linear unit, exact: ``x (1 + erf(x / sqrt 2)) / 2``. Source: arXiv:1606.08415.

    JAX's default is the tanh approximation, which differs by up to 5e-4.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gelu"}
    operations, target = 5, "torch.nn:GELU"


class Silu(Activation, kind="silu"):
    """Sigmoid linear unit: ``x / (1 + exp(-x))``. Source: Elfwing et al., arXiv:1702.03118."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "silu"}
    operations, target = 4, "torch.nn:SiLU"


class Mish(Activation, kind="mish"):
    """Smooth and not monotone: ``x tanh(log(1 + exp(x)))``. Source: Misra, arXiv:1908.08681."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "mish"}
    operations, target = 5, "torch.nn:Mish"


class Sigmoid(Activation, kind="sigmoid"):
    """Logistic function: ``1 / (1 + exp(-x))``, what opens and shuts a gate."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "sigmoid"}
    operations, target = 4, "torch.nn:Sigmoid"


class Tanh(Activation, kind="tanh"):
    """Hyperbolic tangent."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "tanh"}
    operations, target = 1, "torch.nn:Tanh"


class Elu(Activation, kind="elu"):
    """Exponential linear unit: ``x`` above 0, ``alpha (exp(x) - 1)`` below. Source: arXiv:1511.07289."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "elu"}
    operations, target = 4, "torch.nn:ELU"

    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Minus the limit at minus infinity."""

    @override
    def module(self, shape: Shape) -> LazyCall:
        return call(self.target, self.alpha)
