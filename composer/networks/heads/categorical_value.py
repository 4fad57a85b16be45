"""The head of a value that is a distribution over fixed atoms. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from composer.networks.heads.base import Head
from composer.networks.heads.layers import (
    MayBeNoisy,
    Values,
    dense,
    dense_call,
    features,
    laid_out,
    produced,
)
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Projection = Literal["c51", "two_hot", "hl_gauss"]
_CLASSES = {"c51": "C51", "two_hot": "TwoHot"}
Return = Annotated[float, Field(ge=-1e6, le=1e6)]


class CategoricalValue(MayBeNoisy, Head, kind="categorical_value"):
    """Logits of a return's probability at evenly spaced atoms: ``[n] -> [atoms]``, or ``[a, atoms]`` for each action.

    ``projection`` is how a target becomes probabilities: ``c51`` moves the whole next distribution and spreads each of
    its atoms over the two nearest (Bellemare et al., arXiv:1707.06887); ``two_hot`` spreads its mean likewise;
    ``hl_gauss`` spreads its mean over bins around the atoms by a Gaussian (Imani and White, 2018, arXiv:1806.04613;
    Farebrother et al., arXiv:2403.03950). Returns beyond ``low`` and ``high`` count as those.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "categorical_value", "atoms": 51, "low": -10.0, "high": 10.0}
    is_chain = True

    values: Values = "one"
    """Whether there is one value or one for each discrete action."""
    atoms: Annotated[int, Field(ge=2, le=4096)]
    """Number of atoms."""
    low: Return
    """The first atom, in units of (discounted) return."""
    high: Return
    """The last atom."""
    projection: Projection = "c51"
    """How a target becomes probabilities of the atoms."""
    sigma_ratio: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """Standard deviation of hl_gauss's Gaussian, divided by the distance of two atoms; 0.75 in arXiv:2403.03950."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [atoms, n], for each action [a x atoms, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [atoms] or [a x atoms]."""
    unit_norm: bool = False
    """Whether the weights of each logit are kept at unit norm, as hyperspherical networks do."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low >= self.high:
            ends = {"low": self.low, "high": self.high}
            raise PydanticCustomError("atoms_order", "'low' ({low}) must be below 'high' ({high})", ends)
        if self.projection == "hl_gauss" and self.sigma_ratio is None:
            raise PydanticCustomError("sigma_missing", "the projection 'hl_gauss' needs 'sigma_ratio', such as 0.75")
        if self.projection != "hl_gauss" and self.sigma_ratio is not None:
            raise PydanticCustomError(
                "sigma_unused",
                "'sigma_ratio' belongs to the projection 'hl_gauss', not to '{projection}'",
                {"projection": self.projection},
            )
        return self

    @property
    def produces(self) -> str:
        """One value, or one for each action."""
        return produced(self.values)

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``."""
        features(self.kind, shape)
        output = laid_out(self.values, actions, self.atoms)
        return Outline(self.kind, shape, output, children={"linear": dense(self, shape, math.prod(output), self.sigma)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns logits [B, atoms] or [B, a, atoms]."""
        output = self.outline(shape, actions).output
        return call(
            "composer.networks.modules.heads:DenseHead", dense_call(shape, math.prod(output), self.sigma), output
        )

    def returns(self) -> LazyCall:
        """``C51``, ``TwoHot`` or ``HLGauss`` of ``composer.algorithms.losses.returns``."""
        support = (self.atoms, self.low, self.high)
        if self.projection == "hl_gauss":
            return call("composer.algorithms.losses.returns:HLGauss", *support, self.sigma_ratio)
        return call(f"composer.algorithms.losses.returns:{_CLASSES[self.projection]}", *support)
