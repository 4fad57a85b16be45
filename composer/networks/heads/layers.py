"""Parts of heads: the vector that they take, and the block before their layers.

Tests: tests/networks/test_heads.py.
"""

from __future__ import annotations

from collections.abc import Callable

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located


def features(kind: str, shape: Shape) -> int:
    """The width of a vector; raises ``ShapeError`` for any other shape."""
    if len(shape) != 1:
        raise ShapeError(f"the head {kind!r} takes a vector; its input has shape {list(shape)}")
    return shape[0]


def after(hidden: Block | None, shape: Shape, last: Callable[[Shape], Outline], key: str = "hidden") -> Outline:
    """``last`` on what ``hidden`` makes of ``shape``, a sequence of the two; ``last`` alone without ``hidden``.

    ``key`` is that of ``hidden``, for errors.
    """
    if hidden is None:
        return last(shape)
    with located(key):
        first = hidden.outline(shape)
    second = last(first.output)
    return Outline("sequence", shape, second.output, children={"0": first, "1": second})


def after_call(hidden: Block | None, shape: Shape, last: Callable[[Shape], LazyCall]) -> LazyCall:
    """The module of ``after``."""
    if hidden is None:
        return last(shape)
    return call("torch.nn:Sequential", hidden.module(shape), last(hidden.outline(shape).output))
