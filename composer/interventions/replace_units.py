"""Continual backprop: the least useful hidden units are replaced, a few at a time.

Legend: S seeds, C copies, U units of a layer. Tests: tests/interventions/test_replace_units.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.interventions import reinitialize_units as renewal
from composer.interventions.base import Activity, Operation, Rewrite
from composer.interventions.recycle import BatchSize
from composer.interventions.reinitialize_units import Renewal, along
from composer.networks.hidden_units import HiddenLayer, chosen_layers
from composer.networks.outline import Outline
from composer.networks.parameter_selectors import ParameterName
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.interventions.base import Case, OperationContext

REMEMBERED = ("utility", "mean", "age", "owed")
"""Memory per layer: running means of each unit's contribution and of its mean output, and its age in firings, ``[U]``;
and the fraction of a unit still to be replaced, a scalar."""


class ReplaceUnits(Operation, kind="replace_units"):
    """Continual backprop's generate and test: replace the least useful of the hidden units that are old enough.

    At each firing, meant to be each update (``when = { kind = "every", interval = 1 }``), a unit's utility follows its
    contribution, ``u <- decay u + (1 - decay) mean|h| mean|w_out|``, and counts free of its bias toward 0. Of the n
    units of a layer older than ``maturity`` firings, ``rate * n`` are due, fractions saved up; those of least utility
    get fresh weights in, a bias of 0, weights out of 0, age 0, and ``w_out`` times their running mean output is added
    to the bias of the layers that read them, whose mean outputs so stay. Each copy counts for itself. Write ``moments =
    "chosen"`` beside it: moments of a new unit's weights and bias are zeroed; step counts, which here belong to whole
    parameters, are kept, where the released code zeroes those of the entries.

    A firing costs one forward pass of the network (and those that compute its inputs), in evaluation mode and not
    compiled, and one synchronisation to see whether a unit is due; only then weights are drawn and an event counts
    ``units_replaced``. The samples are drawn as those of updates are, but are not those of the last update. The
    released code zeroes the running mean just before it would add it to biases; here it is added. Running moments of
    batch norm stay, and follow. Source: Dohare et al., Nature 632, 2024, algorithm 1; defaults are those of its PPO on
    Ant.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "replace_units", "rate": 1e-4, "maturity": 10_000}

    rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """Share of the mature units replaced at each firing."""
    maturity: Annotated[int, Field(ge=0, le=10**9)] = 10_000
    """Firings before a unit may be replaced."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of running means per firing; 0 takes the last firing alone."""
    batch: BatchSize = 256
    """Samples of the run's data on which units are measured, drawn from a random stream of its own at each firing."""

    @override
    def memory(self, outlines: Mapping[str, Outline], chosen: Sequence[ParameterName]) -> Mapping[ParameterName, Shape]:
        return {
            (role, f"{layer.path}.{name}"): () if name == "owed" else (layer.units,)
            for role, layers in chosen_layers(outlines, chosen).items()
            for layer in layers
            for name in REMEMBERED
        }

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        import torch

        tested = [
            self._tested(context, role, layer, activity)
            for role, layers in chosen_layers(context.outlines, chosen).items()
            for layer, activity in zip(layers, context.activity(role, layers, self.batch), strict=True)
        ]
        some = torch.stack([each.units.any() for each, _ in tested]).tolist()  # One synchronisation.
        due = [pair for pair, is_due in zip(tested, some, strict=True) if is_due]
        if not due:
            return
        context.record_count("units_replaced", torch.stack([each.units.sum((1, 2)) for each, _ in due]).sum(0))
        for each, mean in due:
            yield from _compensated(context, each, mean)
        yield from renewal.renewed(context, [each for each, _ in due], forgets_biases=True)

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return renewal.problems(case, "replaced")

    def _tested(
        self, context: OperationContext, role: str, layer: HiddenLayer, activity: Activity
    ) -> tuple[Renewal, Tensor]:
        """The units of a layer to replace, and the mean output of each, ``[S, C, U]``."""
        utility, mean, age, fraction = (context.memory((role, f"{layer.path}.{name}")) for name in REMEMBERED)
        age.add_(1)
        contribution = activity.magnitude * _weights_out(context, role, layer)
        utility.lerp_(contribution.double(), 1 - self.decay)
        mean.lerp_(activity.read.double(), 1 - self.decay)
        unbias = 1 - self.decay**age
        is_old = age > self.maturity
        fraction.add_(self.rate * is_old.sum(-1))
        due = fraction.floor()
        fraction.sub_(due)
        order = (utility / unbias).masked_fill(~is_old, math.inf).argsort(stable=True, dim=-1)
        units = is_old & (order.argsort(-1) < due[..., None])
        read = mean / unbias
        for value in (utility, mean, age):
            value.masked_fill_(units, 0)
        return Renewal(role, layer, units), read


def _weights_out(context: OperationContext, role: str, layer: HiddenLayer) -> Tensor:
    """Mean magnitude of the weights that read each unit, ``[S, C, U]``."""
    import torch

    weights = []
    for reader in layer.readers:
        weight = context.value((role, reader.weights[0])).transpose(2, 3)  # [S, C, in, out, ...]
        weights.append(weight.unflatten(2, (layer.units, reader.entries)).flatten(3))
    return torch.cat(weights, -1).abs().mean(-1)


def _compensated(context: OperationContext, renewal: Renewal, mean: Tensor) -> Iterator[Rewrite]:
    """Add the mean contribution of the replaced units to the biases of the layers that read them, if there are any."""
    for reader in renewal.layer.readers:
        if reader.bias is not None:
            weight, bias = context.value((renewal.role, reader.weights[0])), (renewal.role, reader.bias)
            gone = renewal.inputs(reader) * mean.repeat_interleave(reader.entries, -1)
            added = (weight * along(gone, weight, 3)).flatten(3).sum(-1)
            yield Rewrite(bias, context.value(bias) + added, forgets=False)
