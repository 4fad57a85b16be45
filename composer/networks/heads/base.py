"""The family of heads: the last map of a network, from a trunk's features to the outputs that an algorithm reads.

Tests: tests/networks/test_heads.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import TypeAdapter

from composer.networks.outline import Outline
from composer.spec.family import Family
from composer.spec.lazy_call import LazyCall
from composer.spec.shape import Shape
from composer.spec.wording import listing

if TYPE_CHECKING:
    from torch import nn


class Head(Family, family="head"):
    """The output of a network.

    A trunk ends in any layers, so that a head is one dense layer and a function of its output. Layers that only a head
    can hold, because they come twice or after an operation of its own, are its ``hidden`` block.
    """

    is_chain: ClassVar[bool] = False
    """Whether it applies its children one after another, and at most an entry-wise function after them."""

    @staticmethod
    def of(outline: Outline) -> type[Head]:
        """The kind of head that an outline is of; ``Head`` itself where no head made it."""
        return Head._kinds.get(outline.kind, Head)  # type: ignore[return-value]

    is_additive: ClassVar[bool] = False
    """Whether outputs of several networks may be summed, as values and logits may: a plasticity injection does."""
    gives_expectation: ClassVar[bool] = False
    """Whether the raw output is a value itself, and not the parameters of a distribution of returns."""

    @property
    @abstractmethod
    def produces(self) -> str:
        """Its product in one word, by which an algorithm refuses a head that it cannot read.

        ``value`` (one, of a state or of a state and an action), ``action_values`` (one for each discrete action),
        ``tanh_gaussian``, ``gaussian``, ``deterministic_action``, ``action_logits``, ``class_logits``,
        ``action_shift`` (of another policy's mean), ``features``; plug-ins may add words.
        """

    @abstractmethod
    def outline(self, shape: Shape, actions: int) -> Outline:
        """What this head is on features of ``shape``; ``actions`` is the action size. Raises ``ShapeError``."""

    @abstractmethod
    def module(self, shape: Shape, actions: int) -> LazyCall:
        """The module as a tree of constructor calls, its parameters and buffers those of the outline."""

    def returns(self) -> LazyCall | None:
        """How its output represents a return or its distribution; None where it gives no value."""
        return None

    def build(self, shape: Shape, actions: int) -> nn.Module:
        """The module itself, best under ``torch.device("meta")``; raises ``ShapeError`` as ``outline`` does."""
        built: nn.Module = self.module(shape, actions).make()
        return built


def heads_giving(product: str | None) -> tuple[str, ...]:
    """The kinds of heads whose example gives ``product``, the plainest first; those of all products for None."""
    kinds = map(TypeAdapter[Head](Head).validate_python, (kind.example for kind in Head.kinds().values()))
    found = [head for head in kinds if product is None or head.produces == product]
    return tuple(head.kind for head in sorted(found, key=_plainness))


def _plainness(head: Head) -> tuple[bool, bool, str]:
    return not head.gives_expectation, len(head.example) > 1, head.kind


def head_giving(product: str, got: Head) -> str:
    """For an algorithm's message: the heads that give ``product``, and the product of ``got``, which does not."""
    kinds = listing(heads_giving(product))
    return f"a head that gives {product!r}: {kinds}; {got.kind!r} as it is set here gives {got.produces!r}"
