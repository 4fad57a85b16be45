"""The head of a value that is a distribution over fixed atoms. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead, ReturnHead
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Projection = Literal["c51", "two_hot", "hl_gauss"]
_CLASSES = {"c51": "C51", "two_hot": "TwoHot"}
Return = Annotated[float, Field(ge=-1e6, le=1e6)]


class CategoricalValue(ReturnHead, OneLayerHead, kind="categorical_value"):
    """Logits of a return's probability at evenly spaced atoms: ``[n] -> [atoms]``, or ``[a, atoms]`` for each action.

    ``projection`` is how a target becomes probabilities: ``c51`` moves the whole next distribution and spreads each of
    its atoms over the two nearest (Bellemare et al., arXiv:1707.06887); ``two_hot`` spreads its mean likewise;
    ``hl_gauss`` spreads its mean over bins around the atoms by a Gaussian (Imani and White, 2018, arXiv:1806.04613;
    Farebrother et al., arXiv:2403.03950). Returns beyond ``low`` and ``high`` count as those.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "categorical_value", "atoms": 51, "low": -10.0, "high": 10.0}

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

    @override
    def outputs(self, actions: int) -> Shape:
        return self.laid_out(actions, self.atoms)

    def returns(self) -> LazyCall:
        """``C51``, ``TwoHot`` or ``HLGauss`` of ``composer.algorithms.losses.returns``."""
        support = (self.atoms, self.low, self.high)
        if self.projection == "hl_gauss":
            return call("composer.algorithms.losses.returns:HLGauss", *support, self.sigma_ratio)
        return call(f"composer.algorithms.losses.returns:{_CLASSES[self.projection]}", *support)
