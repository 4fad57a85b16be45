"""Blocks that read earlier outputs by name. Tests: tests/networks/test_wired.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import MAX_BLOCKS, Block, declared_blocks
from composer.networks.blocks.identity import Identity
from composer.networks.blocks.joins import Join, join_axis, join_flops, joined_shape
from composer.networks.outline import Outline, Wire
from composer.spec.family import Items, Spec
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located
from composer.spec.wording import suggestion

INPUT = "input"
"""The name of what enters the whole block."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class Stage(Spec):
    """One block of a ``wired`` block: what it reads, what is joined to its output, what its output is called."""

    block: Block = Identity()
    """The block."""
    name: Name | None = None
    """The name of the output, for later stages to read; of several copies, that of the last."""
    reads: Name | None = None
    """The output that the block reads: a name, or ``input``; absent, that of the stage before."""
    joins: Annotated[Items[Name], Field(max_length=64)] = ()
    """Outputs that are joined to the block's own, after it, in this order: names, or ``input``."""
    join: Join = "sum"
    """How they are joined."""
    times: Annotated[int, Field(ge=1, le=256)] = 1
    """Copies in a row, each with parameters of its own; each reads the one before, and all join the same outputs."""


class _Placed(NamedTuple):
    """One copy of a stage, with outputs by number: 0 enters the whole, i + 1 leaves copy i."""

    stage: Stage
    at: int
    """Index of the stage."""
    reads: int
    joins: tuple[int, ...]


class Wired(Block, kind="wired"):
    """Blocks in order, where each may read any earlier output by its name, and join others to its own.

    ``y_i = join(block_i(y_reads), y_a, y_b, ...)``, any shapes that fit. Without ``reads`` and ``joins`` it is a
    ``sequence``. Every output is read. Names are those of this list: neither blocks inside nor around it see them. With
    ``joins = ["features"]`` at every block it is the multi-skip trunk of arXiv:2506.15544, with ``concatenate`` a
    DenseNet (arXiv:1608.06993). Operations of joins as in ``parallel``.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "wired",
        "stages": [
            {"block": [{"kind": "linear", "width": 16}, {"kind": "layer_norm"}], "name": "features"},
            {"block": [{"kind": "linear", "width": 16}, {"kind": "relu"}], "joins": ["features"], "times": 2},
            {"block": {"kind": "tanh"}, "joins": ["input"], "join": "concatenate"},
        ],
    }

    stages: Annotated[Items[Stage], Field(min_length=1, max_length=256)]
    """The stages, first to last."""

    @override
    def written_blocks(self) -> int:
        return 1 + sum(stage.times * declared_blocks(stage.block) for stage in self.stages)

    @override
    def with_child(self, name: str, change: Callable[[Block], Block]) -> Block:
        written = [stage for each in self.stages for stage in _written_out(each)]
        changed = [
            stage.model_copy(update={"block": change(stage.block)}) if str(index) == name else stage
            for index, stage in enumerate(written)
        ]
        return self.model_copy(update={"stages": tuple(changed)})

    def outline(self, shape: Shape) -> Outline:
        """Children ``0``, ``1``, ... in order, one for each copy; raises ``ShapeError`` for names that do not fit."""
        if (count := self.written_blocks()) > MAX_BLOCKS:
            raise ShapeError(f"{count:,} blocks; limit {MAX_BLOCKS:,}", ("stages",))
        placed = list(self._placed())
        children, outputs, flops = self._children(placed, shape)
        reached = _reached(placed, children)
        wires = {str(index): _wire(each, placed, index) for index, each in enumerate(placed)}
        return Outline(
            self.kind,
            shape,
            outputs[-1],
            children={str(index): child for index, child in enumerate(children)},
            flops=flops,
            layout="wired",
            stops_gradients=0 not in reached,
            wires=wires,
        )

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.wired.Wired``."""
        outline, placed = self.outline(shape), list(self._placed())
        inputs = [child.input for child in outline.children.values()]
        outputs = [child.output for child in outline.children.values()]
        axes = [join_axis(each.stage.join, output, self.kind) for each, output in zip(placed, outputs, strict=True)]
        return call(
            "composer.networks.modules.wired:Wired",
            [each.stage.block.module(taken) for each, taken in zip(placed, inputs, strict=True)],
            [(each.reads, each.joins, each.stage.join, axis) for each, axis in zip(placed, axes, strict=True)],
        )

    def _placed(self) -> Iterator[_Placed]:
        """Every copy, its names looked up; raises ``ShapeError`` where one names no earlier output."""
        known, count = {INPUT: 0}, 0
        later = {stage.name: index for index, stage in enumerate(self.stages) if stage.name}
        for at, stage in enumerate(self.stages):
            if stage.name in known:
                raise ShapeError(f"two outputs are called {stage.name!r}", ("stages", at, "name"))
            reads = count if stage.reads is None else _number(stage.reads, known, later, ("stages", at, "reads"))
            joins = tuple(
                _number(name, known, later, ("stages", at, "joins", index)) for index, name in enumerate(stage.joins)
            )
            for _ in range(stage.times):
                yield _Placed(stage, at, reads, joins)
                count += 1
                reads = count
            if stage.name:
                known[stage.name] = count

    def _children(self, placed: Sequence[_Placed], shape: Shape) -> tuple[list[Outline], list[Shape], int]:
        """The outline of each copy, the outputs by number, and the operations of all joins."""
        children: list[Outline] = []
        outputs, flops = [shape], 0
        for each in placed:
            stage, place = each.stage, ("stages", each.at)
            with located(*place, "block"):
                child = stage.block.outline(outputs[each.reads])
            named = [(f"the block ({stage.block.kind!r})", child.output)]
            named += [(repr(name), outputs[number]) for name, number in zip(stage.joins, each.joins, strict=True)]
            steps = [(*place, "block"), *((*place, "joins", index) for index in range(len(each.joins)))]
            output = joined_shape(stage.join, named, self.kind, steps) if each.joins else child.output
            flops += join_flops(stage.join, len(named), output) if each.joins else 0
            children.append(child)
            outputs.append(output)
        return children, outputs, flops


def _written_out(stage: Stage) -> Iterator[Stage]:
    """Its copies as stages of their own: the first reads what it reads, the last has its name."""
    for copy in range(stage.times):
        first, last = copy == 0, copy == stage.times - 1
        keys = {"times": 1, "reads": stage.reads if first else None, "name": stage.name if last else None}
        yield stage.model_copy(update=keys)


def _number(name: str, known: Mapping[str, int], later: Mapping[str, int], steps: tuple[str | int, ...]) -> int:
    if name in known:
        return known[name]
    if name in later:
        raise ShapeError(
            f"{name!r} is the output of stage {later[name]}, and only outputs of earlier stages can be read: there are"
            " no cycles",
            steps,
        )
    raise ShapeError(f"no output is called {name!r}{suggestion(name, known)}", steps)


def _reached(placed: Sequence[_Placed], children: Sequence[Outline]) -> set[int]:
    """Numbers of the outputs that a gradient of the last one reaches; every block is read, and trained if it can be."""
    read = {number for each in placed for number in (each.reads, *each.joins)} | {len(placed)}
    reached = {len(placed)}
    for index in reversed(range(len(placed))):
        each, child = placed[index], children[index]
        if index + 1 not in read:
            raise ShapeError("no later stage reads this output", ("stages", each.at))
        if index + 1 not in reached and child.count(trainable_only=True):
            raise ShapeError("no gradient reaches this block, so that it would never be trained", ("stages", each.at))
        if index + 1 in reached:
            reached.update(each.joins)
            reached.update(() if child.stops_gradients else (each.reads,))
    return reached


def _wire(each: _Placed, placed: Sequence[_Placed], index: int) -> Wire:
    """Outputs by the child that gives them, and all that is more than the output before in words."""
    stage = each.stage
    is_last = index + 1 == len(placed) or placed[index + 1].at != each.at
    is_first = index == 0 or placed[index - 1].at != each.at
    words = [f"reads {stage.reads}"] if stage.reads and is_first else []
    words += [f"{stage.join} with {', '.join(stage.joins)}"] if stage.joins else []
    words += [f"called {stage.name}"] if stage.name and is_last else []
    names = ["", *(str(number) for number in range(len(placed)))]
    return Wire(names[each.reads], tuple(names[number] for number in each.joins), stage.join, "; ".join(words))
