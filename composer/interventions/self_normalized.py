"""Self-normalised resets of hidden units. Tests: tests/papers/test_self_normalized.py.

Legend: S seeds, C copies, U units of a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.interventions import reinitialize_units as renewal
from composer.interventions.base import Operation, Rewrite
from composer.interventions.recycle import BatchSize
from composer.networks.hidden_units import chosen_layers
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext


class ResetSilentUnits(Operation, kind="reset_silent_units"):
    """Self-normalised resets: renew a unit that has been silent for longer than it ever is.

    At each firing, meant to be each update, a unit that is 0 on a whole batch is a firing older; one that answers ends
    an interval of that age, which is counted, and is young again. Every ``refresh`` firings each unit's threshold
    becomes the age below which ``1 - tail`` of its intervals ended, where that is less than the present threshold, or
    twice the present one, within ``least`` and ``most``; counting begins anew. A unit as old as its threshold, ``most``
    at first, gets fresh weights in, a bias of 0 and weights out of 0, as by ``recycle``. Ages are counted in
    firings, where the released code counts samples. Units of activations that are never 0 are never silent. It keeps
    ``most`` + 4 numbers for each unit. Source: Farias and Jozefiak, arXiv:2410.20098.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "reset_silent_units", "most": 200, "refresh": 1_000}

    tail: Annotated[float, Field(gt=0, lt=1)] = 0.08
    """Share of a unit's own intervals that a silence must outlast."""
    most: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Largest threshold, and the first one, in firings."""
    least: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Smallest threshold."""
    refresh: Annotated[int, Field(ge=1, le=10**9)] = 1_000
    """Firings between two changes of thresholds."""
    batch: BatchSize = 256
    """Samples of the run's data on which units are measured, drawn from a random stream of its own at each firing."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise PydanticCustomError("least_most", "'least' must not be above 'most'")
        return self

    @override
    def memory(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> Mapping[ParameterName, Shape]:
        shapes: dict[ParameterName, Shape] = {}
        for role, layers in chosen_layers(outlines, chosen).items():
            for layer in layers:
                names = {"age": (layer.units,), "below": (layer.units,), "intervals": (layer.units, self.most + 1)}
                shapes |= {(role, f"{layer.path}.{name}"): shape for name, shape in names.items()}
                shapes[role, f"{layer.path}.firings"] = ()
        return shapes

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        import torch

        renewals = []
        for role, layers in chosen_layers(context.outlines, chosen).items():
            for layer, activity in zip(layers, context.activity(role, layers, self.batch), strict=True):
                names = ("age", "below", "intervals", "firings")
                memory = [context.memory((role, f"{layer.path}.{name}")) for name in names]
                renewals.append(renewal.Renewal(role, layer, self._silent(activity.magnitude > 0, *memory)))
        if not torch.stack([each.units.any() for each in renewals]).any():  # One synchronisation.
            return ()
        context.record_count("units_reset", torch.stack([each.units.sum((1, 2)) for each in renewals]).sum(0))
        return renewal.renewed(context, renewals, forgets_biases=False)

    def _silent(self, answers: Tensor, age: Tensor, below: Tensor, intervals: Tensor, firings: Tensor) -> Tensor:
        """The units to renew, ``[S, C, U]``; ``below`` is ``most`` minus the threshold, so that it begins at 0."""
        import torch

        firings.add_(1)
        self._count(intervals, age, answers)
        age.add_(1).masked_fill_(answers, 0)
        share = intervals[..., 1:].cumsum(-1) / intervals[..., 1:].sum(-1, keepdim=True).clamp_min(1)
        at = (share >= 1 - self.tail).to(torch.float64).argmax(-1) + 1
        threshold = self.most - below
        wanted = torch.where(at < threshold, at, 2 * threshold).clamp(self.least, self.most)
        is_due = (firings % self.refresh == 0)[..., None]
        below.copy_(torch.where(is_due, self.most - wanted, below))
        intervals.masked_fill_(is_due[..., None], 0)
        units = age >= self.most - below
        self._count(intervals, age, units)
        age.masked_fill_(units, 0)
        return units

    def _count(self, intervals: Tensor, age: Tensor, which: Tensor) -> None:
        """Count an interval of the present age for the units of a mask."""
        at = age.clamp_max(self.most).long()[..., None]
        intervals.scatter_add_(-1, at, which.to(intervals.dtype)[..., None])

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return renewal.problems(case, "reset")
