"""Operations that give every chosen parameter a new value, entry by entry.

Hare and Tortoise (Lee et al., ICML 2024), resets (arXiv:2205.07802), shrink-and-perturb
(arXiv:1910.08475) and pulls to the beginning are these, with other sources and amounts.
Tests: tests/interventions/test_operations.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.interventions.base import Operation, Rewrite
from composer.interventions.sources import Normal, Source
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class Lerp(Operation, kind="lerp"):
    """Move parameters toward a source: ``w <- (1 - amount) w + amount source``.

    With ``amount = 1`` it is a copy, to the bit: a reset toward ``fresh``, a Hare's reset toward its Tortoise.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "lerp", "toward": {"kind": "fresh"}, "amount": 0.5}

    toward: Source
    """The values to move toward."""
    amount: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the way, 0 to 1."""
    statistics: Literal["move", "keep"] = "move"
    """Running statistics, as those of batch norm, where all parameters of a network are chosen: moved toward their
    average, or to their start; or left alone."""

    @property
    @override
    def moves_statistics(self) -> bool:
        return self.statistics == "move"

    @property
    @override
    def resets_weights(self) -> bool:
        return self.toward.renews and self.amount > 0.5

    @property
    @override
    def mixes_weights(self) -> bool:
        return self.amount < 1

    @property
    @override
    def average(self) -> str | None:
        return self.toward.average

    @override
    def keeps_shapes(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> bool:
        return self.toward.draws_first_values

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        for parameter in chosen:
            source = self.toward.value(context, parameter)
            exact = self.amount == 1.0
            yield Rewrite(parameter, source if exact else context.value(parameter).detach().lerp(source, self.amount))

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return ((f"toward.{key}", message) for key, message in self.toward.problems(case))


class Perturb(Operation, kind="perturb"):
    """Shrink parameters and add noise: ``w <- keep w + scale noise``. Source: Ash and Adams, arXiv:1910.08475."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "perturb", "keep": 0.6, "noise": {"kind": "normal", "std": 0.01}}

    keep: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Factor on the parameter: 1 adds noise only."""
    noise: Source = Normal(std=0.01)
    """The noise: ``normal``, or ``fresh`` for a draw of the initialiser."""
    scale: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Factor on the noise."""

    @property
    @override
    def resets_weights(self) -> bool:
        return self.keep < 0.5

    @property
    @override
    def mixes_weights(self) -> bool:
        return True

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        for parameter in chosen:
            value = context.value(parameter).detach()
            yield Rewrite(parameter, value * self.keep + self.noise.value(context, parameter) * self.scale)

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return ((f"noise.{key}", message) for key, message in self.noise.problems(case))


class Project(Operation, kind="project"):
    """Scale each weight tensor back to a norm: ``w <- w |w_0| / |w|``, so that its direction alone is learned.

    ``norm = "initial"`` is the Frobenius norm of the run's first draw, per copy: the projection of Normalize-and-
    Project, Lyle et al., arXiv:2407.01800, for networks that normalise before every nonlinearity. A parameter whose
    first draw is zero stays as it is. An ``amount`` below 1 goes part of the way, at each update soft weight rescaling:
    ``w <- (1 - amount) w + amount w |w_0| / |w|``. Source: Oh et al., arXiv:2507.04683; its amount is unverified.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "project", "norm": "initial"}
    is_projection: ClassVar[bool] = True

    norm: Literal["initial", "unit"] = "initial"
    """The norm to restore."""
    amount: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the way to that norm."""

    @override
    def keeps_shapes(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> bool:
        return self.norm == "initial"

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        import torch

        for parameter in chosen:
            value = context.value(parameter).detach()
            now = _norm(value)
            wanted = _norm(context.initial(parameter)) if self.norm == "initial" else torch.ones_like(now)
            factor = torch.where((now > 0) & (wanted > 0), wanted / now.clamp_min(1e-30), torch.ones_like(now))
            yield Rewrite(parameter, value * (factor if self.amount == 1 else 1 + self.amount * (factor - 1)))


class Nothing(Operation, kind="nothing"):
    """Leave the parameters alone: for changes of their optimizer state, averages or schedules."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "nothing"}
    changes_weights: ClassVar[bool] = False

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        return (Rewrite(parameter, context.value(parameter).detach().clone()) for parameter in chosen)


def _norm(value: Tensor) -> Tensor:
    """Frobenius norm of each copy, ``[S, C, 1, ...]``; a learned scalar's absolute value."""
    import torch

    flat = value.flatten(2) if value.ndim > 2 else value[..., None]
    norms: Tensor = torch.linalg.vector_norm(flat, dim=2)
    return norms.view(*value.shape[:2], *[1] * (value.ndim - 2))
