"""The base of heads with dense layers, and of heads that are one dense layer.

Modules: composer/networks/modules/heads.py. Tests: tests/networks/test_heads.py.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.linear import Linear
from composer.networks.blocks.noisy_linear import NoisyLinear, Sigma
from composer.networks.heads.base import Head
from composer.networks.heads.layers import features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape
from composer.spec.without import Without

Values = Literal["one", "per_action"]
"""One value, or one for each discrete action."""


class DenseHead(Head, abstract=True):
    """A head of dense layers on the last axis, all drawn and kept alike."""

    weight: Initializer = Orthogonal()
    """Initialiser of each weight, shape [outputs, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of each bias, shape [outputs]."""
    unit_norm: Annotated[bool, Without(False)] = False
    """Whether the weights of each output are kept at unit norm, as hyperspherical networks do."""

    @property
    def noise(self) -> float | None:
        """First scale of the noise of the last layer, which is then a ``noisy_linear``."""
        return None

    def layer(self, shape: Shape, width: int) -> Outline:
        """A dense layer on the last axis of ``shape``; its errors name the head's fields of the same names."""
        if self.noise is not None:
            noisy = NoisyLinear(width=width, sigma=self.noise, weight=self.weight, bias_init=self.bias_init)
            return noisy.outline(shape)
        norm: Literal["rows"] | None = "rows" if self.unit_norm else None
        return Linear(width=width, weight=self.weight, bias_init=self.bias_init, unit_norm=norm).outline(shape)

    def layer_call(self, shape: Shape, width: int) -> LazyCall:
        """``torch.nn.Linear``, or its noisy relative."""
        if self.noise is not None:
            return call("composer.networks.modules.noisy_linear:NoisyLinear", shape[-1], width)
        return call("torch.nn:Linear", shape[-1], width)


class OneLayerHead(DenseHead, abstract=True):
    """One dense layer on a vector."""

    is_chain = True

    @abstractmethod
    def outputs(self, actions: int) -> Shape:
        """Shape of the output."""

    @override
    def outline(self, shape: Shape, actions: int) -> Outline:
        features(self.kind, shape)
        output = self.outputs(actions)
        return Outline(self.kind, shape, output, children={"linear": self.layer(shape, math.prod(output))})

    @override
    def module(self, shape: Shape, actions: int) -> LazyCall:
        output = self.outline(shape, actions).output
        return call("composer.networks.modules.heads:DenseHead", self.layer_call(shape, math.prod(output)), output)


class NoisyHead(DenseHead, abstract=True):
    """A head of values whose last layer may carry noise."""

    sigma: Sigma | None = None
    """First scale of the dense layer's noise, which makes it a ``noisy_linear``; 0.5 in arXiv:1706.10295."""

    @model_validator(mode="after")
    def _either_noise_or_norm(self) -> Self:
        if self.sigma is not None and self.unit_norm:
            raise PydanticCustomError("sigma_on_sphere", "'sigma' and 'unit_norm' exclude each other")
        return self

    @property
    @override
    def noise(self) -> float | None:
        return self.sigma


class ReturnHead(NoisyHead, abstract=True):
    """A head of distributions of returns: one, or one for each discrete action."""

    is_additive: ClassVar[bool] = True
    values: Values = "one"
    """Whether there is one value or one for each discrete action."""

    @property
    @override
    def produces(self) -> str:
        return "value" if self.values == "one" else "action_values"

    @override
    def without(self) -> Head:
        """The head of the mean: ``scalar``, or ``discrete_value`` for each action, with the same initialisers."""
        kind = Head.kinds()["scalar" if self.values == "one" else "discrete_value"]
        return kind(**{name: getattr(self, name) for name in kind.model_fields.keys() & NoisyHead.model_fields.keys()})

    def laid_out(self, actions: int, entries: int) -> Shape:
        """Shape of ``entries`` for one value, ``[entries]``, or for each action, ``[actions, entries]``."""
        return (entries,) if self.values == "one" else (actions, entries)
