"""Blocks side by side. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.blocks.joins import Join, join_axis, join_flops, joined_shape
from composer.networks.outline import Outline
from composer.spec.family import Items
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


class Parallel(Block, kind="parallel"):
    """Several blocks on the same input, their outputs joined to one.

    ``sum``, ``mean`` and ``multiply`` join entry by entry, all branches of one shape: a residual block with a projected
    shortcut (arXiv:1512.03385) is a sum, a gated linear unit (arXiv:2002.05202) a product.
    ``concatenate`` joins features: channels of images, else the last axis. One operation per entry joined to another,
    one more for a mean, none to concatenate.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "parallel",
        "join": "multiply",
        "branches": [{"kind": "linear", "width": 32}, [{"kind": "linear", "width": 32}, {"kind": "sigmoid"}]],
    }

    branches: Annotated[Items[Block], Field(max_length=64)]
    """The blocks; concatenated in this order."""
    join: Join
    """How the outputs become one."""

    @field_validator("branches")
    @classmethod
    def _some(cls, branches: tuple[Block, ...]) -> tuple[Block, ...]:
        # Not min_length: pydantic counts only the valid entries of a tuple, so that one bad block would be two errors.
        if not branches:
            raise PydanticCustomError("parallel_empty", "a parallel block needs at least one branch")
        return branches

    @override
    def with_child(self, name: str, change: Callable[[Block], Block]) -> Block:
        branches = [change(branch) if str(index) == name else branch for index, branch in enumerate(self.branches)]
        return self.model_copy(update={"branches": tuple(branches)})

    def outline(self, shape: Shape) -> Outline:
        """Children ``0``, ``1``, ... in order; raises ``ShapeError`` where their outputs do not fit together."""
        children = {str(index): self._branch(index, shape) for index in range(len(self.branches))}
        outputs = [child.output for child in children.values()]
        named = [(f"branch {at} ({self.branches[at].kind!r})", output) for at, output in enumerate(outputs)]
        output = joined_shape(self.join, named, self.kind, [("branches", at) for at in range(len(outputs))])
        return Outline(
            self.kind,
            shape,
            output,
            children=children,
            flops=join_flops(self.join, len(outputs), output),
            layout="parallel",
            stops_gradients=all(child.stops_gradients for child in children.values()),
            join=self.join,
        )

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.parallel.Parallel``."""
        output = self.outline(shape).output
        axis = {"axis": join_axis(self.join, output, self.kind)} if self.join == "concatenate" else {}
        return call(
            "composer.networks.modules.parallel:Parallel",
            [block.module(shape) for block in self.branches],
            self.join,
            **axis,
        )

    def _branch(self, index: int, shape: Shape) -> Outline:
        with located("branches", index):
            return self.branches[index].outline(shape)
