"""Measures of hidden units. Formulas: composer/networks/unit_statistics.py. Tests: tests/diagnostics/test_readings.py.

A hidden unit is an entry of an activation block's output: a feature of a vector or token, a channel of an image (all
positions together). The output layer is none. Copies of a network are joined along the batch, as in SimBa's published
code: a unit counts as dormant or dead where it is so in every copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.diagnostics.base import Diagnostic, Memory, Readings
from composer.networks.activations import activations
from composer.networks.outline import Outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from composer.diagnostics.interface import View


def _problems(measure: Diagnostic, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
    """A network without hidden units, named or not, is not what was meant where no other is read."""
    known = [role for role in measure.chosen(outlines) if role in outlines]
    if known and not any(list(activations(outlines[role])) for role in known):
        yield "kind", f"no activation block, and so no hidden unit, in {' and '.join(map(repr, known))}"


def _shares(measure: Dormant | DeadUnits | ZeroActivations, view: View, share: Callable[[Tensor], Tensor]) -> Readings:
    """Of each network and, if asked for, of its layers; ``share`` turns summaries ``[S, C, 3, U]`` to ``[S, U]``."""
    import torch

    (name,), found = measure.names(), Readings()
    for role in measure.chosen(view.networks):
        by_layer = {path: share(summary) for path, summary in view.units(role).items()}
        if by_layer:
            found[f"{role}/{name}"] = torch.cat(list(by_layer.values()), -1).mean(-1)
        if measure.layers:
            found |= {f"{role}/layers/{path}/{name}": units.mean(-1) for path, units in by_layer.items()}
    return found


class Dormant(Diagnostic, kind="dormant"):
    """Dormant ratio: the share of hidden units that are all but silent, by the score of their mean magnitude.

    A unit's score is its mean magnitude over the batch, divided by the mean over its layer; it is dormant at a score of
    at most ``tau``. Source: Sokar et al., arXiv:2302.12902; threshold 0.1 as in SimBa's published code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dormant", "tau": 0.1}

    tau: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Threshold of the score; 0 counts units that are silent."""
    layers: bool = False
    """Whether each layer is reported too."""

    def names(self) -> tuple[str, ...]:
        """With the threshold, which the literature varies."""
        return (f"dormant_ratio_{self.tau:g}",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Shares of units."""
        from composer.networks.unit_statistics import dormant

        return _shares(self, view, lambda summary: dormant(summary[:, :, 0].mean(1), self.tau).double())

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """Networks without hidden units too."""
        yield from super().problems(outlines)
        yield from _problems(self, outlines)


class DeadUnits(Diagnostic, kind="dead_units"):
    """Dead units: the share of hidden units that are exactly 0 on every sample.

    For activations that reach 0, such as ReLU; for smooth ones use ``dormant``.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dead_units"}

    layers: bool = False
    """Whether each layer is reported too."""

    def names(self) -> tuple[str, ...]:
        """One."""
        return ("dead_unit_ratio",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Shares of units."""
        from composer.networks.unit_statistics import dead

        return _shares(self, view, lambda summary: dead(summary[:, :, 1].amax(1)).double())

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """Networks without hidden units too."""
        yield from super().problems(outlines)
        yield from _problems(self, outlines)


class ZeroActivations(Diagnostic, kind="zero_activations"):
    """Zero-activation ratio: the share of entries that are exactly 0, over units, samples and positions.

    Not the share of dead units: half of the entries are 0 in a healthy ReLU network. Every unit weighs the same,
    however many positions it has.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "zero_activations"}

    layers: bool = False
    """Whether each layer is reported too."""

    def names(self) -> tuple[str, ...]:
        """One."""
        return ("zero_activation_ratio",)

    def read(self, view: View, memory: Memory) -> Readings:
        """Shares of entries."""
        return _shares(self, view, lambda summary: summary[:, :, 2].mean(1).double())

    def problems(self, outlines: Mapping[str, Outline]) -> Iterator[tuple[str, str]]:
        """Networks without hidden units too."""
        yield from super().problems(outlines)
        yield from _problems(self, outlines)
