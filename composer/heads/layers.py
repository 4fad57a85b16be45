"""What heads are made of: their dense layer, the block before it, and the axis of actions.

Tests: tests/contracts/test_heads.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from composer.blocks.base import Block
from composer.blocks.linear import Linear
from composer.calls import Call, call
from composer.initializers import Initializer
from composer.shapes import Outline, Shape, ShapeError

Values = Literal["one", "per_action"]
"""One value, or one for each discrete action."""


class Dense(Protocol):
    """A head with a dense layer: the fields that say how it is drawn and kept."""

    @property
    def weight(self) -> Initializer:
        """Initialiser of the weight."""

    @property
    def bias_init(self) -> Initializer:
        """Initialiser of the bias."""

    @property
    def unit_norm(self) -> bool:
        """Whether each output's weights are kept at unit norm."""


def features(kind: str, shape: Shape) -> int:
    """The width of a vector; raises ``ShapeError`` for any other shape."""
    if len(shape) != 1:
        raise ShapeError(f"the head {kind!r} takes a vector; what it is given has shape {list(shape)}")
    return shape[0]


def dense(head: Dense, shape: Shape, width: int) -> Outline:
    """The dense layer of a head on the last axis of ``shape``; its errors name the head's fields of the same names."""
    outline = Linear(width=width, weight=head.weight, bias_init=head.bias_init).outline(shape)
    if not head.unit_norm:
        return outline
    kept = replace(outline.parameters["weight"], unit_axis=1)
    return replace(outline, parameters={**outline.parameters, "weight": kept})


def dense_call(shape: Shape, width: int) -> Call:
    """``torch.nn.Linear`` on the last axis of ``shape``."""
    return call("torch.nn:Linear", shape[-1], width)


def after(hidden: Block | None, shape: Shape, last: Callable[[Shape], Outline]) -> Outline:
    """``last`` on what ``hidden`` makes of ``shape``, a sequence of the two; ``last`` alone without ``hidden``."""
    if hidden is None:
        return last(shape)
    try:
        first = hidden.outline(shape)
    except ShapeError as error:
        raise error.under("hidden") from None
    second = last(first.output)
    return Outline("sequence", shape, second.output, children={"0": first, "1": second})


def after_call(hidden: Block | None, shape: Shape, last: Callable[[Shape], Call]) -> Call:
    """The module of ``after``."""
    if hidden is None:
        return last(shape)
    return call("torch.nn:Sequential", hidden.module(shape), last(hidden.outline(shape).output))


def laid_out(values: Values, actions: int, entries: int) -> Shape:
    """Shape of ``entries`` for one value, ``[entries]``, or for each action, ``[actions, entries]``."""
    return (entries,) if values == "one" else (actions, entries)


def produced(values: Values) -> str:
    """What a value head produces."""
    return "value" if values == "one" else "action_values"
