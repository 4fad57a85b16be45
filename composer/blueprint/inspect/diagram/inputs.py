"""The top of a network's figure: what it reads, by name, through which statistics, and where that is joined."""

from __future__ import annotations

from collections.abc import Sequence

from composer.blueprint.inspect.diagram import labels
from composer.blueprint.inspect.diagram.pieces import (
    APART,
    DETAIL_SIZE,
    GAP,
    HEIGHT,
    LABELLED_GAP,
    RADIUS,
    join_width,
    towards,
    wire,
)
from composer.blueprint.inspect.diagram.sketch import Box, Element, Join, Sketch, Text
from composer.blueprint.inspect.network_facts import Input

_JOIN = "concat"


def entry(inputs: Sequence[Input], width: float) -> Sketch:
    """From the inputs to where they are one; the wire that goes on from there is not drawn."""
    branches = [_branch(each, width) for each in inputs]
    if len(branches) == 1:
        return branches[0]
    lefts = [sum(branch.width + APART for branch in branches[:index]) for index in range(len(branches))]
    axes = [left + branch.axis for left, branch in zip(lefts, branches, strict=True)]
    lowest = max(LABELLED_GAP, *(branch.height for branch in branches))
    middle, meet, sign = (axes[0] + axes[-1]) / 2, lowest + GAP + RADIUS, join_width(_JOIN)
    elements: list[Element] = []
    for each, left, axis, branch in zip(inputs, lefts, axes, branches, strict=True):
        elements += [*branch.moved(left, 0), *(name.moved(left, 0) for name in _named(branch, each))]
        elements += towards(axis, branch.height, middle, meet, sign, None)
    elements.append(Join(middle, meet, sign, 2 * RADIUS, _JOIN))
    return Sketch(lefts[-1] + branches[-1].width, meet + RADIUS, middle, tuple(elements), takes_head=False)


def label(inputs: Sequence[Input], joined: str) -> str:
    """The words beside the wire below ``entry``: name and shape of an input that is read as it is."""
    (first, *others) = inputs
    return joined if others or first.normalizer else _name(first)


def _branch(each: Input, width: float) -> Sketch:
    """One input: its name, and the box of its statistics if it has some."""
    words = labels.text_width(_name(each), DETAIL_SIZE)
    if each.normalizer:
        elements: tuple[Element, ...] = (
            *wire(width / 2, 0, LABELLED_GAP, _name(each), True),
            Box(0, LABELLED_GAP, width, HEIGHT, labels.kind_name(each.normalizer), "running", "plain"),
        )
        right = max(width / 2, 4 + words)
        return Sketch(width / 2 + right, LABELLED_GAP + HEIGHT, width / 2, elements)
    return Sketch(4 + words, 0, 0, (), takes_head=False)


def _named(branch: Sketch, each: Input) -> list[Element]:
    return [] if each.normalizer else [Text(branch.axis + 4, DETAIL_SIZE, _name(each), "shape")]


def _name(each: Input) -> str:
    return f"{each.name} {labels.shape_label(each.shape)}".strip()
