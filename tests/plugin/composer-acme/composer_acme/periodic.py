"""A block: learned sinusoids beside the input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks import Block
from composer.networks.blocks.base import last_axis, plan
from composer.networks.initializers import Initializer, Normal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Periodic(Block, kind="acme/periodic"):
    """The input, then the sine of a learned projection of it: ``[..., n] -> [..., n + waves]``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/periodic", "waves": 8}

    waves: Annotated[int, Field(ge=1, le=4_096)]
    """Number of sinusoids."""
    weight: Initializer = Normal(std=1.0)
    """Initialiser of the projection, shape [waves, n]."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``weight`` [waves, n]; two operations a weight, one a sine."""
        width = last_axis(shape, self.kind)
        parameters = {"weight": plan((self.waves, width), self.weight, width, self.waves, "weight")}
        flops = math.prod(shape[:-1]) * self.waves * (2 * width + 1)
        return Outline(self.kind, shape, (*shape[:-1], width + self.waves), parameters, flops=flops)

    def module(self, shape: Shape) -> LazyCall:
        """``composer_acme.modules.Periodic``."""
        return call("composer_acme.modules:Periodic", last_axis(shape, self.kind), self.waves)
