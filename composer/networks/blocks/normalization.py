"""Normalisation of one sample over its last axis, or over the channels of each place.

Tests: tests/networks/test_blocks.py, tests/papers/test_block_formulas.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import model_validator
from typing_extensions import override

from composer.networks.blocks.base import Block, Epsilon, last_axis, plan
from composer.networks.blocks.channels import Norm, check_gain, features
from composer.networks.initializers import Ones
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape
from composer.spec.without import Without


class LayerNorm(Norm, kind="layer_norm"):
    """Zero mean and unit variance over the last axis, then gain and shift: ``[..., n] -> [..., n]``.

    The variance is the population's and ``epsilon`` is inside the root. 1e-6 is JAX's default; torch's is 1e-5.
    Seven operations per entry (five without gain and shift). Source: Ba et al., arXiv:1607.06450.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "layer_norm"}
    operations = 5
    axis = -1
    normalises = "sample"

    epsilon: Epsilon = 1e-6
    """Added to the variance."""

    @override
    def outline(self, shape: Shape) -> Outline:
        last_axis(shape, self.kind)
        return super().outline(shape)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.LayerNorm``."""
        width = last_axis(shape, self.kind)
        return call("torch.nn:LayerNorm", width, eps=self.epsilon, elementwise_affine=self.affine)


class ChannelLayerNorm(Norm, kind="channel_layer_norm"):
    """Zero mean and unit variance over the channels of each place, then gain and shift of channels: ``[c, h, w]`` kept.

    What layer norm is in flax, whose images have their channels last; of vectors it is ``layer_norm``. Over channels
    and places together: ``group_norm`` with one group. Seven operations per entry (five without gain and shift).
    Source: Ba et al., arXiv:1607.06450.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "channel_layer_norm"}
    operations = 5
    normalises = "sample"

    epsilon: Epsilon = 1e-6
    """Added to the variance."""

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.channel_layer_norm.ChannelLayerNorm``."""
        width, trailing = features(shape, self.kind)
        arguments = {"eps": self.epsilon, "elementwise_affine": self.affine}
        return call("composer.networks.modules.channel_layer_norm:ChannelLayerNorm", width, trailing, **arguments)


class RmsNorm(Block, kind="rms_norm"):
    """Unit mean square over the last axis, then gain: ``[..., n] -> [..., n]``; the mean is kept.

    ``epsilon`` is added to the mean square, inside the root. Four operations per entry (three without gain).
    Source: Zhang and Sennrich, arXiv:1910.07467.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rms_norm"}
    units = "keeps"
    axis = -1
    normalises = "sample"

    epsilon: Epsilon = 1e-6
    """Added to the mean square."""
    affine: bool = True
    """Whether a learned gain (initially 1) follows."""
    unit_norm: Annotated[bool, Without(False)] = False
    """Whether each step of the optimizer leaves the gains at the norm that they begin with, the root of their number
    (FlashSAC, arXiv:2604.04539)."""

    @model_validator(mode="after")
    def _has_gain(self) -> Self:
        check_gain(self.unit_norm, self.affine)
        return self

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``weight`` [n] if ``affine``."""
        width = last_axis(shape, self.kind)
        gain = replace(
            plan((width,), Ones(), width, width, "affine"), shares_norm=("weight",) if self.unit_norm else ()
        )
        parameters = {"weight": gain} if self.affine else {}
        return Outline(self.kind, shape, shape, parameters, flops=(4 if self.affine else 3) * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.RMSNorm``."""
        width = last_axis(shape, self.kind)
        return call("torch.nn:RMSNorm", width, eps=self.epsilon, elementwise_affine=self.affine)


class ChannelRmsNorm(Block, kind="channel_rms_norm"):
    """Unit mean square over the channels of each place, then gain of channels: ``[c, h, w]`` kept.

    What RMS norm is in JAX, whose images have their channels last; of vectors it is ``rms_norm``. Four operations per
    entry (three without gain). Source: DreamerV3's convolutions, arXiv:2301.04104 and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "channel_rms_norm"}
    units = "keeps"
    normalises = "sample"

    epsilon: Epsilon = 1e-6
    """Added to the mean square."""
    affine: bool = True
    """Whether a learned gain (initially 1) follows."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``weight`` [c] if ``affine``."""
        width = features(shape, self.kind)[0]
        parameters = {"weight": plan((width,), Ones(), width, width, "affine")} if self.affine else {}
        return Outline(self.kind, shape, shape, parameters, flops=(3 + self.affine) * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.channel_rms_norm.ChannelRMSNorm``."""
        width, trailing = features(shape, self.kind)
        arguments = {"eps": self.epsilon, "elementwise_affine": self.affine}
        return call("composer.networks.modules.channel_rms_norm:ChannelRMSNorm", width, trailing, **arguments)
