"""The base of mixtures of experts: blocks side by side, each with its own parameters and slots.

Module: composer/networks/modules/experts.py. Tests: tests/papers/test_experts.py.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.initializers import Initializer, LecunNormal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import ShapeError, located


class Mixture(Block, abstract=True):
    """Experts that share the tokens among them: ``[t, d] -> [t, d']``, d' the width that the expert gives."""

    example_input = (6, 16)

    experts: Annotated[int, Field(ge=1, le=1024)]
    """Number of experts, n."""
    expert: Block
    """The block of each expert, on its slots [p, d], with its own parameters. A slot without a token is 0."""
    router: Initializer = LecunNormal()
    """Initialiser of the router's weight."""

    @override
    def repeats(self) -> int:
        return self.experts

    def slots_each(self, declared: int | None, tokens: int) -> int:
        """Slots of an expert: as declared, or just enough for every token to have one."""
        return -(-tokens // self.experts) if declared is None else declared

    def experts_outline(self, slots: int, width: int) -> Outline:
        """The experts on ``slots`` each, together ``[n p, d] -> [n p, d']``; children ``0``, ``1``, ..."""
        shape = slots, width
        with located("expert"):
            one = self.expert.outline(shape)
            if len(one.output) != 2 or one.output[0] != slots:
                raise ShapeError(
                    f"an expert must keep its {slots} slots: its input is {list(shape)}, its output {list(one.output)}"
                )
        children = {str(index): one for index in range(self.experts)}
        taken, given = (self.experts * slots, width), (self.experts * slots, one.output[1])
        return Outline("experts", taken, given, children=children, layout="parallel", join="concatenate")

    def experts_call(self, slots: int, width: int) -> LazyCall:
        """``composer.networks.modules.experts.Experts``."""
        experts = [self.expert.module((slots, width)) for _ in range(self.experts)]
        return call("composer.networks.modules.experts:Experts", experts)
