"""The dense layer with learned noise. Tests: tests/networks/test_blocks.py, tests/papers/test_noisy_linear.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block, Width, last_axis, plan
from composer.networks.initializers import Constant, Initializer, UniformFanIn
from composer.networks.outline import BufferPlan, Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Sigma = Annotated[float, Field(gt=0, le=100)]


class NoisyLinear(Block, kind="noisy_linear"):
    """Dense layer whose weights and biases carry learned noise in training: ``[..., in] -> [..., out]``.

    The noise is factorised and drawn once a forward pass for all of its samples; every copy of a network, and every
    average of it, draws from a stream of its own. In evaluation mode there is none. An algorithm that explores by it
    acts in training mode (``noisy = true`` of DQN). Operations: those of ``linear``, and four per weight.
    Source: Fortunato et al., arXiv:1706.10295, with its initialisers: uniform within 1/sqrt(in), noise 0.5/sqrt(in).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "noisy_linear", "width": 16}
    units = "makes"
    axis = -1

    width: Width
    """Output width."""
    sigma: Sigma = 0.5
    """First scale of the noise, times the square root of the input width."""
    weight: Initializer = UniformFanIn()
    """Initialiser of the weight, shape [out, in]."""
    bias_init: Initializer = UniformFanIn()
    """Initialiser of the bias, shape [out]; it counts the weight's fans."""

    @override
    def widened(self, units: int) -> Block:
        return self.model_copy(update={"width": units})

    def outline(self, shape: Shape) -> Outline:
        """Parameters ``weight`` and ``bias`` as of ``linear``, and ``weight_sigma`` and ``bias_sigma`` like them."""
        fan_in, fan_out = last_axis(shape, self.kind), self.width
        scale = Constant(value=self.sigma / math.sqrt(fan_in))
        parameters = {
            "weight": plan((fan_out, fan_in), self.weight, fan_in, fan_out, "weight"),
            "bias": plan((fan_out,), self.bias_init, fan_in, fan_out, "bias_init"),
            "weight_sigma": plan((fan_out, fan_in), scale, fan_in, fan_out, "sigma"),
            "bias_sigma": plan((fan_out,), scale, fan_in, fan_out, "sigma"),
        }
        buffers = {"key": BufferPlan("key"), "draws": BufferPlan("counter")}
        flops = math.prod(shape[:-1]) * fan_out * (2 * fan_in + 1) + 4 * fan_out * fan_in
        return Outline(self.kind, shape, (*shape[:-1], fan_out), parameters, flops=flops, buffers=buffers)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.noisy_linear.NoisyLinear``."""
        return call("composer.networks.modules.noisy_linear:NoisyLinear", last_axis(shape, self.kind), self.width)
