"""A constant coordinate. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block, last_axis
from composer.networks.blocks.sizes import within_bounds
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Append(Block, kind="append"):
    """One more coordinate, a constant, after the others: ``[..., n] -> [..., n + 1]``; it computes nothing.

    Before ``unit_norm`` it makes the direction depend on the norm of the input.
    Source: SimbaV2, arXiv:2502.15280, where ``value`` is 3.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "append", "value": 3.0}

    value: Annotated[float, Field(ge=-1e6, le=1e6)]
    """The constant."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        width = last_axis(shape, self.kind)
        return Outline(self.kind, shape, (*shape[:-1], within_bounds(width + 1, f"{width} + 1")))

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.ConstantPad1d`` on the right of the last axis."""
        self.outline(shape)
        return call("torch.nn:ConstantPad1d", (0, 1), self.value)
