"""What heads are made of: their dense layer, the block before it, and the axis of actions.

Tests: tests/networks/test_heads.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from composer.networks.blocks.base import Block
from composer.networks.blocks.linear import Linear
from composer.networks.blocks.noisy_linear import NoisyLinear, Sigma
from composer.networks.initializers import Initializer
from composer.networks.outline import Outline
from composer.spec.family import Spec
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError

Values = Literal["one", "per_action"]
"""One value, or one for each discrete action."""


class Dense(Protocol):
    """A head with a dense layer: the fields that say how it is drawn and kept."""

    @property
    def weight(self) -> Initializer:
        """Initialiser of the weight."""

    @property
    def bias_init(self) -> Initializer:
        """Initialiser of the bias."""

    @property
    def unit_norm(self) -> bool:
        """Whether each output's weights are kept at unit norm."""


def features(kind: str, shape: Shape) -> int:
    """The width of a vector; raises ``ShapeError`` for any other shape."""
    if len(shape) != 1:
        raise ShapeError(f"the head {kind!r} takes a vector; what it is given has shape {list(shape)}")
    return shape[0]


class MayBeNoisy(Spec):
    """What heads of action values have in common whose dense layer may carry noise."""

    unit_norm: bool = False
    """Whether the weights of each output are kept at unit norm, as hyperspherical networks do."""
    sigma: Sigma | None = None
    """First scale of the dense layer's noise, which makes it a ``noisy_linear``; 0.5 in arXiv:1706.10295."""

    @model_validator(mode="after")
    def _either_noise_or_norm(self) -> Self:
        if self.sigma is not None and self.unit_norm:
            raise PydanticCustomError("sigma_on_sphere", "'sigma' and 'unit_norm' exclude each other")
        return self


def dense(head: Dense, shape: Shape, width: int, sigma: float | None = None) -> Outline:
    """The dense layer of a head on the last axis of ``shape``; its errors name the head's fields of the same names."""
    if sigma is not None:
        return NoisyLinear(width=width, sigma=sigma, weight=head.weight, bias_init=head.bias_init).outline(shape)
    outline = Linear(width=width, weight=head.weight, bias_init=head.bias_init).outline(shape)
    if not head.unit_norm:
        return outline
    kept = replace(outline.parameters["weight"], unit_axis=1)
    return replace(outline, parameters={**outline.parameters, "weight": kept})


def dense_call(shape: Shape, width: int, sigma: float | None = None) -> LazyCall:
    """``torch.nn.Linear`` on the last axis of ``shape``, or its noisy relative."""
    if sigma is not None:
        return call("composer.networks.modules.noisy_linear:NoisyLinear", shape[-1], width)
    return call("torch.nn:Linear", shape[-1], width)


def after(hidden: Block | None, shape: Shape, last: Callable[[Shape], Outline]) -> Outline:
    """``last`` on what ``hidden`` makes of ``shape``, a sequence of the two; ``last`` alone without ``hidden``."""
    if hidden is None:
        return last(shape)
    try:
        first = hidden.outline(shape)
    except ShapeError as error:
        raise error.under("hidden") from None
    second = last(first.output)
    return Outline("sequence", shape, second.output, children={"0": first, "1": second})


def after_call(hidden: Block | None, shape: Shape, last: Callable[[Shape], LazyCall]) -> LazyCall:
    """The module of ``after``."""
    if hidden is None:
        return last(shape)
    return call("torch.nn:Sequential", hidden.module(shape), last(hidden.outline(shape).output))


def laid_out(values: Values, actions: int, entries: int) -> Shape:
    """Shape of ``entries`` for one value, ``[entries]``, or for each action, ``[actions, entries]``."""
    return (entries,) if values == "one" else (actions, entries)


def produced(values: Values) -> str:
    """What a value head produces."""
    return "value" if values == "one" else "action_values"
