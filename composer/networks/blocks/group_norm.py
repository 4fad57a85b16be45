"""Normalisation of groups of features. Tests: tests/networks/test_blocks.py, tests/papers/test_group_norm.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import MAX_WIDTH, Epsilon
from composer.networks.blocks.channels import Norm, features
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class GroupNorm(Norm, kind="group_norm"):
    """Unit moments of each group of features of one sample, then gain and shift; any shape, which is kept.

    Features are the channels of an image, whose groups span all places, else the last axis. One group of an image is
    layer norm over all its entries; a group a channel is instance norm. The variance is the population's, ``epsilon``
    inside the root; 1e-6 is JAX's default, torch's is 1e-5. Seven operations per entry (five without gain and shift).
    Source: Wu and He, arXiv:1803.08494.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "group_norm", "groups": 4}
    operations = 5
    normalises = "sample"

    groups: Annotated[int, Field(ge=1, le=MAX_WIDTH)]
    """Groups of equally many features, neighbours together."""
    epsilon: Epsilon = 1e-6
    """Added to the variance."""

    @override
    def outline(self, shape: Shape) -> Outline:
        width, trailing = features(shape, self.kind)
        if width % self.groups:
            raise ShapeError(f"{width} features do not divide into {self.groups} groups", ("groups",))
        if width // self.groups * math.prod(shape[len(shape) - trailing :]) == 1:
            raise ShapeError("a group of one entry is always 0 after normalisation", ("groups",))
        return super().outline(shape)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.group_norm.GroupNorm``."""
        self.outline(shape)
        width, trailing = features(shape, self.kind)
        return call(
            "composer.networks.modules.group_norm:GroupNorm",
            self.groups,
            width,
            trailing,
            eps=self.epsilon,
            affine=self.affine,
        )
