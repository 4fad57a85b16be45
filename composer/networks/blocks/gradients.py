"""Where gradients stop: a blueprint may not train parameters that no gradient reaches.

Tests: tests/networks/test_frozen.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from composer.networks.outline import Outline
from composer.spec.shape import ShapeError


def check_reached(before: Iterable[Outline], outline: Outline) -> None:
    """Raise ``ShapeError`` where ``outline`` lets no gradient through to trainable parameters of those before it.

    In a row of blocks only the next one reads each: a gradient that stops there reaches nothing before.
    """
    if outline.stops_gradients and any(earlier.count(trainable_only=True) for earlier in before):
        raise ShapeError(
            f"no gradient passes {outline.kind!r} here, so that what comes before would never be trained; "
            "put it into one branch of a 'parallel' block, or what comes before into a 'frozen' one"
        )
