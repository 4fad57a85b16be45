"""Measures of hidden units. Formulas: composer/networks/unit_statistics.py. Tests: tests/diagnostics/test_readings.py.

A hidden unit is an entry of an activation block's output: a feature of a vector or token, a channel of an image (all
positions together), outside of the output layer. Copies of a network are joined along the batch, as in SimBa's
published code: a unit is dormant or dead where it is so in every copy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.diagnostics.base import PREFIX, LayerDiagnostic, Readings
from composer.networks.activations import activations
from composer.networks.outline import Outline
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from composer.diagnostics.interface import View


class _UnitDiagnostic(LayerDiagnostic, abstract=True):
    """A share of hidden units or of their activations."""

    @override
    def metric(self, name: str) -> Metric:
        return super().metric(name)._replace(unit="share", low=0, high=1)

    @override
    def layers_of(self, outline: Outline) -> Iterable[str]:
        return [path for path, _ in activations(outline)]

    @override
    def metrics(self, outlines: Mapping[str, Outline]) -> Iterator[Metric]:
        """None of a network without an activation."""
        silent = {f"{PREFIX}{role}" for role, outline in outlines.items() if not any(activations(outline))}
        return (each for each in super().metrics(outlines) if "/".join(each.name.split("/")[:2]) not in silent)

    @abstractmethod
    def share(self, summary: Tensor) -> Tensor:
        """From summaries ``[S, C, 3, U]`` of the units of a layer to a number per unit, ``[S, U]``."""

    @override
    def measure(self, view: View, role: str) -> Readings:
        import torch

        (name,) = self.names()
        by_layer = {path: self.share(summary).double() for path, summary in view.units(role).items()}
        found = {name: torch.cat(list(by_layer.values()), -1).mean(-1)} if by_layer else {}
        if self.layers:
            found |= {f"layers/{path}/{name}": units.mean(-1) for path, units in by_layer.items()}
        return found

    @override
    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        yield from super().problems(outlines)
        # A network without hidden units, named or not, is a mistake where no other is read.
        known = [role for role in self.chosen(outlines) if role in outlines]
        if known and not any(list(activations(outlines[role])) for role in known):
            yield "kind", f"no activation block, and so no hidden unit, in {' and '.join(map(repr, known))}"


class Dormant(_UnitDiagnostic, kind="dormant"):
    """Dormant ratio: the share of hidden units that are all but silent, by the score of their mean magnitude.

    A unit's score is its mean magnitude over the batch, divided by the mean over its layer; it is dormant at a score of
    at most ``tau``. Source: Sokar et al., arXiv:2302.12902; threshold 0.1 as in SimBa's published code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dormant", "tau": 0.1}

    tau: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Threshold of the score; 0 counts units that are silent."""

    @override
    def names(self) -> tuple[str, ...]:
        return (f"dormant_ratio_{self.tau:g}",)  # The literature varies the threshold.

    @override
    def share(self, summary: Tensor) -> Tensor:
        from composer.networks.unit_statistics import dormant

        return dormant(summary[:, :, 0].mean(1), self.tau)


class DeadUnits(_UnitDiagnostic, kind="dead_units"):
    """Dead units: the share of hidden units that are exactly 0 on every sample.

    For activations that reach 0, such as ReLU; for smooth ones use ``dormant``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dead_units"}
    reported = ("dead_unit_ratio",)

    @override
    def share(self, summary: Tensor) -> Tensor:
        from composer.networks.unit_statistics import dead

        return dead(summary[:, :, 1].amax(1))


class ZeroActivations(_UnitDiagnostic, kind="zero_activations"):
    """Zero-activation ratio: the share of entries that are exactly 0, over units, samples and positions.

    Not the share of dead units: half of the entries are 0 in a healthy ReLU network. Every unit weighs the same,
    however many positions it has.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "zero_activations"}
    reported = ("zero_activation_ratio",)

    @override
    def share(self, summary: Tensor) -> Tensor:
        return summary[:, :, 2].mean(1)
