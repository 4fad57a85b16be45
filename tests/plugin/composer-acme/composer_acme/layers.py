"""A dense layer and a norm that say what they are: so recycling, injection, diagnostics, lint and figures know them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks import Block
from composer.networks.blocks.base import Width, last_axis, plan
from composer.networks.initializers import Initializer, Normal, Ones, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class NtkLinear(Block, kind="acme/ntk_linear"):
    """Dense layer in the neural tangent parameterisation: ``[..., in] -> [..., out]``, ``y = W x / sqrt(in) + b``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/ntk_linear", "width": 16}
    units = "makes"
    axis = -1

    width: Width
    """Output width."""
    weight: Initializer = Normal(std=1.0)
    """Initialiser of the weight, shape [out, in]."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` [out, in] and ``bias`` [out]; two operations a weight, two an output."""
        fan_in = last_axis(shape, self.kind)
        parameters = {
            "weight": plan((self.width, fan_in), self.weight, fan_in, self.width, "weight"),
            "bias": plan((self.width,), Zeros(), fan_in, self.width, "width"),
        }
        flops = math.prod(shape[:-1]) * self.width * (2 * fan_in + 2)
        return Outline(self.kind, shape, (*shape[:-1], self.width), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer_acme.modules.NtkLinear``."""
        return call("composer_acme.modules:NtkLinear", last_axis(shape, self.kind), self.width)


class AbsoluteNorm(Block, kind="acme/absolute_norm"):
    """Unit mean magnitude over the last axis, then a gain: ``[..., n] -> [..., n]``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/absolute_norm"}
    units = "keeps"
    axis = -1
    normalises = "sample"

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``gain`` [n]; four operations per entry."""
        width = last_axis(shape, self.kind)
        parameters = {"gain": plan((width,), Ones(), width, width, "kind")}
        return Outline(self.kind, shape, shape, parameters, flops=4 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer_acme.modules.AbsoluteNorm``."""
        return call("composer_acme.modules:AbsoluteNorm", last_axis(shape, self.kind))
