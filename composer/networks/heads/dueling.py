"""The head that splits action values into a state value and advantages. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.heads.base import Head
from composer.networks.heads.implicit_quantile import ImplicitQuantile
from composer.networks.heads.layers import after, after_call, features
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located
from composer.spec.without import Without


class Dueling(Head, kind="dueling"):
    """A state value plus advantages of mean zero, ``v + a - mean(a)`` over actions: ``[n] -> [a]`` or ``[a, atoms]``.

    ``head`` is built twice, each time after a ``hidden`` block of its own: with one action for the value, with all of
    them for the advantages. Logits and quantiles are combined as values are, as in Rainbow, arXiv:1710.02298. Where the
    trunk may not end in the hidden layer, as with SPR, both streams can follow one ``shared`` block.
    Source: Wang et al., arXiv:1511.06581, Eq. 9.
    """

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "kind": "dueling",
        "hidden": [{"kind": "linear", "width": 16}, {"kind": "relu"}],
        "head": {"kind": "discrete_value"},
    }

    head: Head
    """The head of both streams: one with a value for each action."""
    hidden: Block | None = None
    """A block between the features and each stream's head, twice with parameters of their own."""
    shared: Annotated[Block | None, Without(None)] = None
    """A block before both streams, once: the hidden layer of BBF, arXiv:2305.19452."""

    @field_validator("head")
    @classmethod
    def _has_streams(cls, head: Head) -> Head:
        if head.produces != "action_values":
            raise PydanticCustomError(
                "dueling_values",
                "'dueling' wraps a head with a value for each action, such as 'discrete_value', or one with "
                "values = \"per_action\"; '{kind}' gives '{produces}'",
                {"kind": head.kind, "produces": head.produces},
            )
        if isinstance(head, ImplicitQuantile | Dueling):
            reason = "it is dueling itself" if isinstance(head, Dueling) else "its two streams would draw other levels"
            context = {"kind": head.kind, "reason": reason}
            raise PydanticCustomError("dueling_kind", "'dueling' cannot wrap '{kind}': {reason}", context)
        return head

    @override
    def without(self) -> Head | None:
        """The head without streams, where no hidden layer would go with them."""
        return self.head if self.hidden is None and self.shared is None else None

    @property
    @override
    def produces(self) -> str:
        return "action_values"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``value`` and ``advantage``, after ``shared`` if there is one; three operations per entry."""
        features(self.kind, shape)
        return after(self.shared, shape, lambda given: self._streams(given, actions), "shared")

    def _streams(self, shape: Shape, actions: int) -> Outline:
        value, advantage = (self._stream(shape, number) for number in (1, actions))
        output, children = advantage.output, {"value": value, "advantage": advantage}
        flops = 3 * math.prod(output)
        return Outline(self.kind, shape, output, children=children, flops=flops, layout="parallel", join="dueling")

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DuelingHead``: returns what ``head`` does, [B, a] or [B, a, atoms]."""
        features(self.kind, shape)
        return after_call(self.shared, shape, lambda given: self._streams_call(given, actions))

    def _streams_call(self, shape: Shape, actions: int) -> LazyCall:
        axis = -len(self._streams(shape, actions).output)
        value = after_call(self.hidden, shape, lambda given: self.head.module(given, 1))
        advantage = after_call(self.hidden, shape, lambda given: self.head.module(given, actions))
        return call("composer.networks.modules.heads:DuelingHead", value, advantage, axis)

    def returns(self) -> LazyCall | None:
        """That of ``head``."""
        return self.head.returns()

    def _stream(self, shape: Shape, actions: int) -> Outline:
        def last(given: Shape) -> Outline:
            with located("head"):
                return self.head.outline(given, actions)

        return after(self.hidden, shape, last)
