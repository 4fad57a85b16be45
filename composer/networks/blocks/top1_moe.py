"""The mixture of experts that sends each token to one.

Tests: tests/networks/test_blocks.py, tests/papers/test_experts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Width
from composer.networks.blocks.experts import Mixture
from composer.networks.blocks.linear import Linear
from composer.networks.blocks.sizes import within_bounds
from composer.networks.blocks.tokens import sequence
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class Top1Moe(Mixture, kind="top1_moe"):
    """Each token to the one expert that a router prefers: ``[t, d] -> [t, d']``, d' the width that the expert gives.

    The router is a dense layer [n, d] without bias and a softmax; a token's output is its expert's, times that
    probability. An expert takes the first ``capacity`` tokens that choose it, in order; the others' outputs are zeros,
    so that a residual path should pass by. There is no loss that balances the load. Operations: those of the router and
    the experts, two per product of tokens and slots, four per token and expert. Source: Switch, Fedus et al.,
    arXiv:2101.03961; as the penultimate layer of value networks: Obando-Ceron, Sokar et al., arXiv:2402.08609.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "top1_moe",
        "experts": 2,
        "expert": {"kind": "restore_width", "block": [{"kind": "linear", "width": 32}, {"kind": "relu"}]},
    }

    capacity: Width | None = None
    """Tokens that an expert takes; absent, t / n rounded up."""

    def outline(self, shape: Shape) -> Outline:
        """Children ``router`` and ``experts``."""
        tokens, width = sequence(shape, self.kind)
        capacity = self.slots_each(self.capacity, tokens)
        places = within_bounds(self.experts * capacity, f"{self.experts} x {capacity}", "experts")
        try:
            router = Linear(width=self.experts, bias=False, weight=self.router).outline(shape)
        except ShapeError as error:
            raise ShapeError(error.message, ("router",)) from None
        experts = self.experts_outline(capacity, width)
        flops = 2 * tokens * places * (width + experts.output[1]) + 4 * tokens * self.experts
        children = {"router": router, "experts": experts}
        return Outline(self.kind, shape, (tokens, experts.output[1]), children=children, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.top1_moe.Top1MoE``."""
        self.outline(shape)
        tokens, width = sequence(shape, self.kind)
        capacity = self.slots_each(self.capacity, tokens)
        experts = self.experts_call(capacity, width)
        return call("composer.networks.modules.top1_moe:Top1MoE", experts, width, capacity)
