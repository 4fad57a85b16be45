"""ReDo: dormant hidden units get fresh weights. Tests: tests/interventions/test_recycle.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.interventions import reinitialize_units as renewal
from composer.interventions.base import Operation, Rewrite
from composer.networks.hidden_units import chosen_layers
from composer.networks.parameter_selectors import ParameterName

if TYPE_CHECKING:
    from composer.interventions.base import Case, OperationContext

BatchSize = Annotated[int, Field(ge=2, le=65_536)]
"""Samples per seed on which hidden units are measured."""


class Recycle(Operation, kind="recycle"):
    """ReDo: give dormant units fresh weights in, a bias of 0 and weights out of 0, so that they can be used again.

    A unit's score is its mean magnitude over a batch (and all positions), divided by the mean over its layer; it is
    dormant at a score of at most ``tau``, each copy's by its own activations. All scores are taken before anything is
    written. It acts on the units of hidden layers whose weight is chosen; a residual stream, which more than weights
    read, has none. Write ``moments = "chosen"`` beside it for the published rule: it zeroes the moments of changed
    weights and keeps those of biases and all step counts. Gains and shifts of norms start anew with their unit; running
    moments of batch norm stay, and follow. Scales of noise are weights: they start anew on
    the way in and are 0 on the way out. Weights of unit norm stay so: fresh rows are drawn on the sphere, and rows that
    read a new unit lose it and are scaled back, ``w_i / sqrt(1 - w_j^2)``, so that outputs move where such a unit was
    not silent, and by that factor. The event counts ``units_recycled``.
    Source: Sokar et al., arXiv:2302.12902, algorithm 1; a batch of 256 as in the authors' released code. With
    ``by = "gradient"`` it is ReGraMa, Liu et al., arXiv:2505.24061 (score and tau of 0.01 from others' code).
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "recycle", "tau": 0.1}

    tau: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Threshold of the score; 0 recycles units that are silent."""
    by: Literal["activity", "gradient"] = "activity"
    """What the score is the mean magnitude of: a unit's output; or the gradient of the weights that it reads."""
    batch: BatchSize = 256
    """Samples of the run's data on which scores are taken, drawn from a random stream of its own at each firing."""

    @override
    def rewrites(self, context: OperationContext, chosen: Sequence[ParameterName]) -> Iterable[Rewrite]:
        import torch

        from composer.networks.unit_statistics import dormant

        renewals = []
        for role, layers in chosen_layers(context.outlines, chosen).items():
            if self.by == "activity":
                sizes = [each.magnitude for each in context.activity(role, layers, self.batch)]
            else:
                slopes = [context.gradient((role, layer.weights[0]), self.batch) for layer in layers]
                sizes = [slope.abs().flatten(3).mean(3) for slope in slopes]
            for layer, size in zip(layers, sizes, strict=True):
                renewals.append(renewal.Renewal(role, layer, dormant(size, self.tau)))
        context.record_count("units_recycled", torch.stack([each.units.sum((1, 2)) for each in renewals]).sum(0))
        return renewal.renewed(context, renewals, forgets_biases=False)

    @override
    def problems(self, case: Case) -> Iterator[tuple[str, str]]:
        return renewal.problems(case, "recycled")
