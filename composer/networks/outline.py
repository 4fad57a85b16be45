"""Outlines: the shapes and parameters of a network, before any tensor exists.

An ``Outline`` is the single source of truth about a block's parameters and buffers: paths, sizes, first values.
Commands print it, the learner draws fresh weights from it, and a test compares the built modules with it. Shapes are
those of one sample, without batch or member axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from composer.spec.shape import Shape

if TYPE_CHECKING:
    from composer.networks.initializers import Initializer


Layout = Literal["sequence", "residual", "bypass", "parallel", "wired", "leaf"]
"""How a block's children are put together: one after another; one after another beside a path that skips them all;
the same on a part of the input, while the rest goes by; side by side, on the same input; as ``wires`` say; or as
details of one drawn operation."""


class Wire(NamedTuple):
    """What one child of a ``wired`` block reads, and the name of its output."""

    reads: str
    """The child whose output is its input; empty for the input of the whole block."""
    joined: tuple[str, ...] = ()
    """Children whose outputs are joined to its own; empty names are the input of the whole block."""
    join: str = ""
    """How they are joined."""
    text: str = ""
    """The same in words, where it is more than the output before: ``reads a``, ``+ a``, ``called b``."""


@dataclass(frozen=True)
class ParameterPlan:
    """One parameter: its size and how a fresh value is drawn; fans as the initialiser counts them."""

    shape: Shape
    initializer: Initializer
    fan_in: int
    fan_out: int
    trainable: bool = True
    """Whether gradients change it; a frozen parameter keeps what was drawn."""
    unit_axis: int | None = None
    """Axis along which vectors are kept at unit norm, by projection of the draw and after every optimizer step."""
    shares_norm: tuple[str, ...] = ()
    """Vectors of the same block, this one among them, that every optimizer step leaves at the joint norm sqrt(n) of n
    ones; they begin at it."""

    @property
    def is_projected(self) -> bool:
        """Whether its norm is kept."""
        return self.unit_axis is not None or bool(self.shares_norm)

    @property
    def count(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


class Projection(NamedTuple):
    """Parameters whose vectors, joined along an axis, are kept at a norm."""

    paths: tuple[str, ...]
    axis: int
    """Counted from the last."""
    norm: float


@dataclass(frozen=True)
class BufferPlan:
    """State of a module that no gradient changes.

    A ``statistic`` is a float32 tensor over the samples seen, which an average of the network averages too; a
    ``counter`` is an int64 scalar that starts at 0; a ``key`` is an int64 scalar drawn once, that tells apart the
    random streams of members.
    """

    kind: Literal["statistic", "counter", "key"]
    shape: Shape = ()
    start: float = 0.0
    """Every entry of a statistic before anything has been seen."""

    @property
    def count(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Outline:
    """A block with its shapes: own parameters, own cost, children in order of their module names.

    ``flops`` counts the block's own floating-point operations for one sample forward (a multiply-add is two);
    ``layout`` is how a figure draws the children, ``join`` how the paths of ``residual``, ``bypass`` and ``parallel``
    meet: a word such as ``sum``, ``multiply`` or ``concatenate``; none where each child gives an output of its own.
    """

    kind: str
    input: Shape
    output: Shape
    parameters: Mapping[str, ParameterPlan] = field(default_factory=dict)
    children: Mapping[str, Outline] = field(default_factory=dict)
    flops: int = 0
    buffers: Mapping[str, BufferPlan] = field(default_factory=dict)
    layout: Layout = "sequence"
    stops_gradients: bool = False
    """Whether no gradient flows from its output to its input."""
    join: str = ""
    wires: Mapping[str, Wire] = field(default_factory=dict)
    """By child: how the children of a ``wired`` block are connected."""

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, ParameterPlan]]:
        """Every parameter below, by the path that the built module gives it."""
        for name, plan in self.parameters.items():
            yield prefix + name, plan
        for name, child in self.children.items():
            yield from child.named_parameters(f"{prefix}{name}.")

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, BufferPlan]]:
        """Every buffer below, by the path that the built module gives it."""
        for name, plan in self.buffers.items():
            yield prefix + name, plan
        for name, child in self.children.items():
            yield from child.named_buffers(f"{prefix}{name}.")

    def projections(self) -> Iterator[Projection]:
        """What every optimizer step is followed by, of trained parameters."""
        for path, plan in self.named_parameters():
            if plan.trainable and plan.unit_axis is not None:
                yield Projection((path,), plan.unit_axis % len(plan.shape) - len(plan.shape), 1.0)
                continue
            block, dot, name = path.rpartition(".")
            if plan.trainable and plan.shares_norm[:1] == (name,):
                paths = tuple(f"{block}{dot}{each}" for each in plan.shares_norm)
                yield Projection(paths, -1, math.sqrt(plan.shape[0]))

    def count(self, trainable_only: bool = False) -> int:
        """Entries of all parameters below."""
        return sum(plan.count for _, plan in self.named_parameters() if plan.trainable or not trainable_only)

    def frozen(self) -> Outline:
        """The same with no trainable parameter."""
        parameters = {name: replace(plan, trainable=False) for name, plan in self.parameters.items()}
        children = {name: child.frozen() for name, child in self.children.items()}
        return replace(self, parameters=parameters, children=children)

    def total_flops(self) -> int:
        """Floating-point operations of one sample forward, children included."""
        return self.flops + sum(child.total_flops() for child in self.children.values())
