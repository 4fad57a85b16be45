"""The soft mixture of experts. Tests: tests/networks/test_blocks.py, tests/papers/test_experts.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Width, plan
from composer.networks.blocks.experts import Mixture
from composer.networks.blocks.sizes import within_bounds
from composer.networks.blocks.tokens import sequence
from composer.networks.initializers import Ones
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class SoftMoe(Mixture, kind="soft_moe"):
    """Experts on weighted means of all tokens: ``[t, d] -> [t, d']``, d' the width that the expert gives.

    Each of n experts has p slots. Logits ``L = X Phi [t, n p]``, with Phi [d, n, p] drawn by ``router``, its fans n d
    and p d as JAX counts them; a slot is a mean of the tokens, weighted by the
    softmax of L over tokens; an output token is a mean of the experts' outputs, weighted by the softmax of L over all
    slots. No token is dropped. An expert that ends in ``restore_width`` keeps d. Operations: two per product of logits,
    slots and outputs, ten per logit, and the experts'. Source: Puigcerver et al., arXiv:2308.00951; as the penultimate
    layer of value networks: Obando-Ceron, Sokar et al., arXiv:2402.08609.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "soft_moe",
        "experts": 2,
        "expert": {"kind": "restore_width", "block": [{"kind": "linear", "width": 32}, {"kind": "relu"}]},
    }

    slots: Width | None = None
    """Slots of an expert, p; absent, t / n rounded up: a capacity of 1."""
    normalised: bool = False
    """Whether tokens and the columns of Phi are normalised in the logits, and these multiplied by a learned scalar."""

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``router`` [d, n, p] and, if ``normalised``, ``scale`` []; child ``experts``."""
        tokens, width = sequence(shape, self.kind)
        each = self.slots_each(self.slots, tokens)
        slots = within_bounds(self.experts * each, f"{self.experts} x {each}", "experts")
        fans = self.experts * width, each * width
        parameters = {"router": plan((width, self.experts, each), self.router, *fans, "router")}
        if self.normalised:
            parameters["scale"] = plan((), Ones(), 1, 1, "normalised")
        experts = self.experts_outline(each, width)
        flops = tokens * slots * (2 * (2 * width + experts.output[1]) + 10)
        if self.normalised:
            flops += 3 * width * (tokens + slots) + width * slots
        return Outline(self.kind, shape, (tokens, experts.output[1]), parameters, {"experts": experts}, flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.soft_moe.SoftMoE``."""
        self.outline(shape)
        tokens, width = sequence(shape, self.kind)
        each = self.slots_each(self.slots, tokens)
        options = {"normalised": True} if self.normalised else {}
        experts = self.experts_call(each, width)
        return call("composer.networks.modules.soft_moe:SoftMoE", experts, width, each, **options)
