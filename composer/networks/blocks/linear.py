"""The dense layer. Tests: tests/networks/test_blocks.py, tests/training/test_projection.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from composer.networks.blocks.base import last_axis
from composer.networks.blocks.weighted import Weighted
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape
from composer.spec.without import Without

UNIT_AXIS = {"rows": -1, "columns": -2}
"""The axis of a weight ``[out, in]`` along which vectors have unit norm."""


class Linear(Weighted, kind="linear"):
    """Dense layer on the last axis: ``[..., in] -> [..., out]``, ``y = x W^T + b``.

    Exactly one of ``width`` (out) and ``expansion`` (out = expansion x in) is given. Orthogonal weights and zero
    biases are the defaults of the continuous-control literature, not torch's. Operations: two per weight, one per bias.
    With ``unit_norm`` the weight is projected once it is drawn and after every step of the optimizer; an average of the
    network is not. Source: SimbaV2, arXiv:2502.15280; nGPT, arXiv:2410.01131.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "linear", "width": 256, "weight": {"kind": "he_normal"}}
    axis = -1

    unit_norm: Annotated[Literal["rows", "columns"] | None, Without(None)] = None
    """The vectors kept at unit norm: ``rows`` of the weight [out, in], which an output reads; ``columns``, which an
    input writes."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` [out, in] and ``bias`` [out]."""
        fan_in = last_axis(shape, self.kind)
        fan_out = self.size(fan_in)
        axis = None if self.unit_norm is None else UNIT_AXIS[self.unit_norm]
        parameters = self.plans((fan_out, fan_in), fan_in, fan_out, axis)
        flops = math.prod(shape[:-1]) * fan_out * (2 * fan_in + self.bias)
        return Outline(self.kind, shape, (*shape[:-1], fan_out), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Linear``: keeping a norm is for whoever trains it."""
        outline = self.outline(shape)
        return call("torch.nn:Linear", shape[-1], outline.output[-1], bias=self.bias)
