"""Layers whose weight is normalised before it is used: weight norm and spectral norm around a linear or conv block.

Tests: tests/networks/test_blocks.py, tests/papers/test_reparameterised.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block, plan
from composer.networks.blocks.conv import Conv
from composer.networks.blocks.linear import Linear
from composer.networks.initializers import Constant, Initializer, Ones, Zeros
from composer.networks.outline import BufferPlan, Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


def _weighted(block: Block) -> Block:
    if not isinstance(block, Linear | Conv):
        raise PydanticCustomError(
            "weighted_block", "expected a block with one weight, 'linear' or 'conv', got '{kind}'", {"kind": block.kind}
        )
    if isinstance(block, Linear) and block.unit_norm is not None:
        raise PydanticCustomError("weighted_sphere", "weights of unit norm are normalised already: leave one out")
    if block.weight in (Zeros(), Constant(value=0.0)):
        raise PydanticCustomError("weighted_zeros", "a weight that starts at 0 has no norm to divide by")
    return block


Weighted = Annotated[Block, AfterValidator(_weighted)]
"""A block with one weight, ``linear`` or ``conv``, that does not start at 0."""


def _inner(block: Block, shape: Shape) -> Outline:
    with located("block"):
        return block.outline(shape)


def _module(block: Block, shape: Shape) -> LazyCall:
    # ``torch.nn.Linear`` has no way to be called with another weight, ours has.
    made = block.module(shape)
    return replace(made, target="composer.networks.modules.dense:Dense") if isinstance(block, Linear) else made


class WeightNorm(Block, kind="weight_norm"):
    """Weight norm: a linear or conv block with the weight ``gain * v / |v|``; shapes are the block's.

    One gain and one Euclidean norm per output unit; ``v`` is the block's weight as declared. The gain starts at 1, not
    at ``|v|`` as torch's does, so that the start is the block with rows of unit norm: inputs of unit covariance give
    outputs of unit variance, the purpose of the paper's first step from data. A gain of ``constant`` c with
    orthogonal rows starts exactly as the block alone with orthogonal gain c. Operations are the block's, without
    the normalisation of the weight, once per batch. Source: Salimans and Kingma, arXiv:1602.07868, Eq. 2.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "weight_norm", "block": {"kind": "linear", "width": 8}}
    normalises = "weights"

    block: Weighted
    """The linear or conv block."""
    gain: Initializer = Ones()
    """Initialiser of the gain, shape [out]."""

    @override
    def without(self) -> Block:
        """The block with its weight as it is."""
        return self.block

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``gain`` [out], then the child ``block``."""
        child = _inner(self.block, shape)
        weight = child.parameters["weight"]
        gain = plan(weight.shape[:1], self.gain, weight.fan_in, weight.fan_out, "gain")
        return Outline(self.kind, shape, child.output, {"gain": gain}, {"block": child}, layout="leaf")

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.weight_norm.WeightNorm``."""
        self.outline(shape)
        return call("composer.networks.modules.weight_norm:WeightNorm", _module(self.block, shape))


class SpectralNorm(Block, kind="spectral_norm"):
    """Spectral norm: a linear or conv block with its weight divided by its largest singular value; shapes the block's.

    The weight counts as a matrix with a row per output unit. Its largest singular value comes from ``iterations`` of
    the power method a pass, begun where the last training pass ended (before the first, at equal entries, where the
    paper draws them); evaluation iterates too but keeps nothing. The gradient passes through the weight and not
    through the iteration. Operations are the block's, without the normalisation of the weight, once per batch.
    Source: Miyato et al., arXiv:1802.05957, algorithm 1.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "spectral_norm", "block": {"kind": "linear", "width": 8}}
    normalises = "weights"

    block: Weighted
    """The linear or conv block."""
    iterations: Annotated[int, Field(ge=1, le=64)] = 1
    """Steps of the power method a pass."""

    @override
    def without(self) -> Block:
        """The block with its weight as it is."""
        return self.block

    def outline(self, shape: Shape) -> Outline:
        """Statistic ``left`` [out], along the left singular vector, and the child ``block``."""
        child = _inner(self.block, shape)
        buffers = {"left": BufferPlan("statistic", child.parameters["weight"].shape[:1], start=1.0)}
        return Outline(self.kind, shape, child.output, children={"block": child}, buffers=buffers, layout="leaf")

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.spectral_norm.SpectralNorm``."""
        self.outline(shape)
        return call("composer.networks.modules.spectral_norm:SpectralNorm", _module(self.block, shape), self.iterations)
