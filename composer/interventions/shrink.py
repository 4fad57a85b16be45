"""Shrinking that measures how much is needed. Tests: tests/papers/test_weight_remedies.py.

Legend: S seeds, C copies, U units of a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.interventions.base import Operation, Rewrite, problems_of_gradients
from composer.interventions.recycle import BatchSize
from composer.networks.hidden_units import hidden_layers
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import Case, OperationContext


class ShrinkByDormancy(Operation, kind="shrink_by_dormancy"):
    """Mix in a fresh draw, the more the more units of the network are dormant: ``w <- a w + (1 - a) fresh``.

    ``a = min(max(1 - rate * b, least), most)`` with the share ``b`` of dormant hidden units of the parameter's network
    over all layers and copies, for each seed; ``tau`` as of ``recycle``. The released agent takes ``b`` from its actor
    for all networks; here each network has its own. Write ``moments = "zero"`` beside it.
    Source: Xu et al. (DrM), arXiv:2310.19668; defaults of the released code, ``most`` of which varies by task.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "shrink_by_dormancy", "rate": 2.0}

    rate: Annotated[float, Field(gt=0, le=1_000)] = 2.0
    """How much a share of dormant units takes off the old weights."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Lower bound of what is kept."""
    most: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Upper bound of what is kept."""
    tau: Annotated[float, Field(ge=0, le=1)] = 0.025
    """Threshold of a dormant unit's score."""
    batch: BatchSize = 256
    """Samples of the run's data on which units are measured, drawn from a random stream of its own at each firing."""

    @property
    @override
    def mixes_weights(self) -> bool:
        return True

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        import torch

        from composer.networks.stacked import per_seed
        from composer.networks.unit_statistics import dormant

        kept = {}
        for role in dict.fromkeys(role for role, _ in chosen):
            layers = list(hidden_layers(context.outlines[role]))
            found = context.activity(role, layers, self.batch)
            units = torch.cat([dormant(each.magnitude, self.tau).flatten(1) for each in found], 1)
            kept[role] = (1 - self.rate * units.float().mean(1)).clamp_min(self.least).clamp_max(self.most)
        for role, path in chosen:
            value = context.value((role, path)).detach()
            yield Rewrite((role, path), context.fresh((role, path)).lerp(value, per_seed(kept[role], value)))

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        for role in case.roles:
            if not any(hidden_layers(case.outlines[role])):
                yield "", f"no hidden unit of {role!r} can be measured: none is read by layers of weights alone"


class ShrinkByDirection(Operation, kind="shrink_by_direction"):
    """Shrink each unit's weights, the less the better they agree with where the loss falls: ``w <- max(c, least) w``.

    ``c`` is the cosine of a row of the weight, all that an output unit reads, and of minus the gradient of its
    network's loss on a batch. Vectors stay. It is meant for the arrival of new data.
    Source: Shin et al. (DASH), arXiv:2410.23495; ``least`` and a single batch in the place of an average over batches
    are unverified.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "shrink_by_direction", "least": 0.3}

    least: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Smallest factor."""
    batch: BatchSize = 1_024
    """Samples of the run's data for the gradient, drawn from a random stream of its own at each firing."""

    @property
    @override
    def mixes_weights(self) -> bool:
        return True

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        from torch.nn.functional import cosine_similarity

        for parameter in chosen:
            value = context.value(parameter).detach()
            if value.ndim < 4:
                continue
            slope = context.gradient(parameter, self.batch)
            cosine = cosine_similarity(value.flatten(3), -slope.flatten(3), -1).clamp_min(self.least)
            yield Rewrite(parameter, value * cosine.view(*cosine.shape, *[1] * (value.ndim - 3)))

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return problems_of_gradients(case)
