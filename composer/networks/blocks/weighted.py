"""The base of dense layers and convolutions: one weight, a bias, and the two ways to give their width.

Tests: tests/networks/test_blocks.py.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block, Width, plan
from composer.networks.blocks.sizes import within_bounds
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import ParameterPlan
from composer.spec.shape import Shape


class Weighted(Block, abstract=True):
    """A layer with one weight ``[out, in, ...]``. Exactly one of ``width`` and ``expansion`` is given."""

    units = "makes"

    width: Width | None = None
    """Output features: channels of images, else the output width."""
    expansion: Annotated[int, Field(ge=1, le=64)] | None = None
    """Output features as a multiple of the input's."""
    bias: bool = True
    """Whether a bias per output feature is added."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, before a projection to unit norm."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [out]; it counts the weight's fans."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.width is None) == (self.expansion is None):
            given = "neither" if self.width is None else "both"
            raise PydanticCustomError(
                "linear_size", "give exactly one of 'width' and 'expansion'; got {given}", {"given": given}
            )
        return self

    def size(self, features: int) -> int:
        """The number of output features for that of input features; raises ``ShapeError`` above the bound."""
        if self.width is not None:
            return self.width
        assert self.expansion is not None
        return within_bounds(self.expansion * features, f"{self.expansion} x {features}", "expansion")

    @override
    def widened(self, units: int) -> Block:
        return self.model_copy(update={"width": units, "expansion": None})

    def plans(self, shape: Shape, fan_in: int, fan_out: int, unit_axis: int | None = None) -> dict[str, ParameterPlan]:
        """``weight`` of this shape, and ``bias`` [out] if there is one."""
        plans = {"weight": plan(shape, self.weight, fan_in, fan_out, "weight", unit_axis)}
        if self.bias:
            plans["bias"] = plan(shape[:1], self.bias_init, fan_in, fan_out, "bias_init")
        return plans
