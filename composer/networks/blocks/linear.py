"""The dense layer. Tests: tests/networks/test_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from composer.networks.blocks.base import Block, Width, last_axis, plan
from composer.networks.blocks.sizes import check_one_size, output_width
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Linear(Block, kind="linear"):
    """Dense layer on the last axis: ``[..., in] -> [..., out]``, ``y = x W^T + b``.

    Exactly one of ``width`` (out) and ``expansion`` (out = expansion x in) is given. Orthogonal weights and zero
    biases are the defaults of the continuous-control literature, not torch's. Operations: two a weight, one a bias.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "linear", "width": 256, "weight": {"kind": "he_normal"}}
    units = "makes"
    axis = -1

    width: Width | None = None
    """Output width."""
    expansion: Annotated[int, Field(ge=1, le=64)] | None = None
    """Output width as a multiple of the input width."""
    bias: bool = True
    """Whether a bias is added."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [out, in]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [out]; it counts the weight's fans."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        check_one_size(self.width, self.expansion)
        return self

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` [out, in] and ``bias`` [out]."""
        fan_in = last_axis(shape, self.kind)
        fan_out = output_width(self.width, self.expansion, fan_in)
        parameters = {"weight": plan((fan_out, fan_in), self.weight, fan_in, fan_out, "weight")}
        if self.bias:
            parameters["bias"] = plan((fan_out,), self.bias_init, fan_in, fan_out, "bias_init")
        flops = math.prod(shape[:-1]) * fan_out * (2 * fan_in + self.bias)
        return Outline(self.kind, shape, (*shape[:-1], fan_out), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Linear``."""
        outline = self.outline(shape)
        return call("torch.nn:Linear", shape[-1], outline.output[-1], bias=self.bias)
