"""What mixtures of experts share: blocks side by side, each with parameters and slots of its own.

Tests: tests/papers/test_experts.py.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError

Count = Annotated[int, Field(ge=1, le=1024)]


def slots_each(declared: int | None, tokens: int, experts: int) -> int:
    """Slots of an expert: as declared, or just enough for every token to have one."""
    return -(-tokens // experts) if declared is None else declared


def outline_experts(block: Block, experts: int, shape: Shape) -> Outline:
    """The ``experts`` on slots ``[p, d]`` each, together ``[n p, d] -> [n p, d']``; children ``0``, ``1``, ..."""
    try:
        one = block.outline(shape)
    except ShapeError as error:
        raise error.under("expert") from None
    if len(one.output) != 2 or one.output[0] != shape[0]:
        raise ShapeError(
            f"an expert must keep its {shape[0]} slots: its input is {list(shape)}, its output {list(one.output)}",
            ("expert",),
        )
    slots = experts * shape[0]
    children = {str(index): one for index in range(experts)}
    taken, given = (slots, shape[1]), (slots, one.output[1])
    return Outline("experts", taken, given, children=children, layout="parallel", join="concatenate")


def experts_call(block: Block, experts: int, shape: Shape) -> LazyCall:
    """``composer.networks.modules.experts.Experts``."""
    return call("composer.networks.modules.experts:Experts", [block.module(shape) for _ in range(experts)])
