"""Activations with parameters. Tests: tests/networks/test_blocks.py, tests/papers/test_plastic_activations.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block, plan
from composer.networks.blocks.sizes import feature_axis
from composer.networks.initializers import Constant, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

DEGREES = (5, 4)
"""Of the numerator and the denominator of a rational activation."""


class Prelu(Block, kind="prelu"):
    """ReLU with a learned slope below 0 for each feature: ``x`` above 0, ``slope x`` below.

    Features are the last axis, or the channels of an image. Three operations per entry. Source: He et al.,
    arXiv:1502.01852.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "prelu", "slope": 0.1}
    is_activation = True
    units = "keeps"

    slope: Annotated[float, Field(ge=-10, le=10)] = 0.25
    """First value of every slope."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``slope`` [n]."""
        width = shape[feature_axis(shape, self.kind)]
        parameters = {"slope": plan((width,), Constant(value=self.slope), width, width, "slope")}
        return Outline(self.kind, shape, shape, parameters, flops=3 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.learned_activations.PReLU``."""
        axis = feature_axis(shape, self.kind)
        return call("composer.networks.modules.learned_activations:PReLU", shape[axis], -1 - axis)


class Rational(Block, kind="rational"):
    """A learned quotient of polynomials, shared by all entries: ``sum a_i x^i / (1 + |sum b_j x^j|)``.

    Numerator of degree 5, denominator of degree 4, which is at least 1. Parameters are the differences from the first
    coefficients, which follow a leaky ReLU of slope 0.01 on [-3, 3] to 0.035 (our own fit). 21 operations per entry.
    Source: Molina et al., arXiv:1907.06732, safe form; in deep RL: Delfosse et al., arXiv:2102.09407.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rational"}
    is_activation = True

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``numerator`` [6] and ``denominator`` [4]."""
        sizes = {"numerator": DEGREES[0] + 1, "denominator": DEGREES[1]}
        parameters = {name: plan((size,), Zeros(), size, 1, name) for name, size in sizes.items()}
        return Outline(self.kind, shape, shape, parameters, flops=21 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.learned_activations.Rational``."""
        return call("composer.networks.modules.learned_activations:Rational")
