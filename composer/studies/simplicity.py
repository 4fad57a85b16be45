"""``composer simplicity``: the simplicity bias of networks at initialisation.

The score is the mean over initialisations of 1 / c, where c is the mean frequency of a network's output on a grid over
[-100, 100]^2 (``diagnostics/formulas/spectrum.py``). A network is a trunk on two inputs with a linear scalar output.
Source: SimBa, arXiv:2410.09754, appendices A and B. Tests: tests/papers/test_measures_of_spectra.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.func import functional_call

from composer.algorithms.normalization.spec import ObservationNorm
from composer.diagnostics.formulas.spectrum import plane, simplicity
from composer.networks.heads import Scalar
from composer.networks.initialize import draw, draw_buffers
from composer.networks.network import Network
from composer.spec.interval import LEVEL, method
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError
from composer.studies import Refused
from composer.studies.statistics import DISTANCE, Scores, difference, span

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.networks.blocks import Block

POINTS, EXTENT = 300, 100.0
"""Points on each axis of the grid, and the end of the axis."""
FORM = ".5f"
ROWS = 15_000
"""Points of the grid in one forward pass, which bounds the memory."""


class Spectra(NamedTuple):
    """The score of each initialisation of one network."""

    whole: Scores
    """1 / c as published: the constant term of the transform is in the denominator."""
    varying: Scores
    """1 / c without the constant term: an offset does not make a function simpler."""


def spectra(trunk: Block, statistic: ObservationNorm, initialisations: int, seed: int = 0) -> Spectra:
    """1 / c of freshly initialised networks; the statistics that normalise their inputs have seen only the grid.

    Raises ``ShapeError`` where the trunk does not map two numbers to a vector.
    """
    network = Network(trunk=trunk, head=Scalar())
    outline = network.outline((2,), 1)
    with torch.device("meta"):
        module = network.build((2,), 1).eval()
    grid = plane(POINTS, EXTENT)
    statistics = statistic.build(1, 2, "cpu")
    if statistics is not None:
        statistics.observe(grid[None])
        grid = statistics.of_minibatch(grid[None], grid[None])(grid[None])[0]
    whole, varying = [], []
    for number in range(initialisations):

        def stream(path: str, number: int = number) -> int:
            return derive(seed, "simplicity", number, path)

        state = draw(outline, stream) | draw_buffers(outline, stream)
        with torch.no_grad():
            values = torch.cat([functional_call(module, state, (rows,)) for rows in grid.split(ROWS)])
        surface = values.view(POINTS, POINTS)
        whole.append(float(simplicity(surface)))
        varying.append(float(simplicity(surface, constant=False)))
    return Spectra(Scores.of(whole, bounds=DISTANCE), Scores.of(varying, bounds=DISTANCE))


def answer(blueprints: Mapping[str, Blueprint], initialisations: int) -> dict[str, Any]:
    """Every trunk of the blueprints, by title, each also compared with the first.

    Raises Refused for a trunk of other inputs.
    """
    rows: list[dict[str, Any]] = []
    found: list[Spectra] = []
    for title, blueprint in blueprints.items():
        statistic = blueprint.normalization.observation
        for trunk, roles in _trunks(blueprint):
            try:
                each = spectra(trunk, statistic, initialisations)
            except ShapeError as error:
                raise Refused(f"{title}: networks.{roles[0]} on two inputs: {error.message}") from None
            found.append(each)
            rows.append(
                {
                    "blueprint": title,
                    "networks": roles,
                    "normalization": statistic.kind,
                    "score": each.whole.summary(),
                    "score_without_constant": each.varying.summary(),
                    "difference_to_first": difference(each.whole, found[0].whole).as_dict(),
                    "difference_to_first_without_constant": difference(each.varying, found[0].varying).as_dict(),
                }
            )
    grid = {"points": POINTS, "extent": EXTENT, "frequency": "integer index"}
    return {"initialisations": initialisations, "grid": grid, "level": LEVEL, "networks": rows}


def text(table: Mapping[str, Any]) -> str:
    """A line per network, and one for its difference to the first."""
    count = table["initialisations"]
    lines = [f"simplicity, mean of 1/c over {count} initialisations, with its {method('initialisations')}"]
    for index, row in enumerate(table["networks"]):
        lines.append(
            f"{row['blueprint']} {' and '.join(row['networks'])} ({row['normalization']}): {span(row['score'], FORM)}, "
            f"without the constant term {span(row['score_without_constant'], FORM)}"
        )
        if index:
            apart = row["difference_to_first"], row["difference_to_first_without_constant"]
            lines.append(f"  minus the first: {span(apart[0], FORM)}, without the constant term {span(apart[1], FORM)}")
    return "\n".join(lines)


def _trunks(blueprint: Blueprint) -> list[tuple[Block, list[str]]]:
    """The distinct trunks, each with the networks that have it."""
    found: list[tuple[Block, list[str]]] = []
    for role, network in blueprint.networks.items():
        same = [roles for trunk, roles in found if trunk == network.trunk]
        if same:
            same[0].append(role)
        else:
            found.append((network.trunk, [role]))
    return found
