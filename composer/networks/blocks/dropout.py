"""Dropout. Tests: tests/networks/test_blocks.py, tests/papers/test_dropout.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.blocks.identity import Identity
from composer.networks.outline import BufferPlan, Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Dropout(Block, kind="dropout"):
    """Each entry zeroed with probability ``rate``, the others divided by ``1 - rate``, in training; any shape.

    In evaluation, which is wherever no loss of this very network is computed, it is the identity: targets and actions
    see no noise. Every copy of a network draws from a stream of its own. Two operations per entry (in training).
    Source: Srivastava et al., JMLR 15, 2014; divided while training and not multiplied afterwards, as all libraries do.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dropout", "rate": 0.1}
    units = "keeps"

    rate: Annotated[float, Field(ge=0, lt=1)]
    """Probability that an entry is zeroed, to 24 bits."""

    @override
    def without(self) -> Block:
        """The identity."""
        return Identity()

    def outline(self, shape: Shape) -> Outline:
        """No parameters; the random stream is the buffers ``key`` and ``draws``, one draw per call in training."""
        buffers = {"key": BufferPlan("key"), "draws": BufferPlan("counter")}
        return Outline(self.kind, shape, shape, flops=2 * math.prod(shape), buffers=buffers)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.dropout.Dropout``."""
        return call("composer.networks.modules.dropout:Dropout", self.rate)
