"""Outputs of hidden layers, read by hooks."""

from __future__ import annotations

from collections.abc import Iterator

from composer.networks.blocks import Block
from composer.networks.blocks.sizes import feature_axis
from composer.networks.outline import Outline


def activations(outline: Outline, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Paths of the activation modules of a network, and the axis of their units, counted from the last."""
    if Block.of(outline).is_activation:
        yield prefix.removesuffix("."), feature_axis(outline.output, outline.kind)
    for name, child in outline.children.items():
        yield from activations(child, f"{prefix}{name}.")
