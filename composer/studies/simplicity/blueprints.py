"""The simplicity bias of the networks of blueprints, at initialisation.

The score by frequency is the mean over initialisations of 1 / c, where c is the mean frequency of a network's output on
a grid over [-100, 100]^2 (``diagnostics/formulas/spectrum.py``). A network is a trunk on two inputs with a linear
scalar output. Source: SimBa, arXiv:2410.09754, appendices A and B. Tests: tests/papers/test_measures_of_spectra.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call

from composer.algorithms.normalization.spec import ObservationNorm
from composer.networks.heads import Scalar
from composer.networks.initialize import draw, draw_buffers
from composer.networks.network import Network
from composer.spec.interval import LEVEL, method
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError
from composer.studies import Refused
from composer.studies.simplicity.measures import SCORE, Measure
from composer.studies.statistics import DISTANCE, Scores, difference, span

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.networks.blocks import Block

EXTENT = 100.0
"""The end of either axis of the grid."""
FORM = ".5f"
ROWS = 15_000
"""Points of the grid in one forward pass, which bounds the memory."""


def scores(
    trunk: Block, statistic: ObservationNorm, measure: Measure, initialisations: int, seed: int = 0
) -> dict[str, Scores]:
    """The scores of freshly initialised networks by name; what normalises their inputs has seen only the grid.

    Raises ``ShapeError`` where the trunk does not map two numbers to a vector.
    """
    rows = [measure.scores(surface) for surface in _surfaces(trunk, statistic, measure, initialisations, seed)]
    return {name: Scores.of([row[name] for row in rows], bounds=DISTANCE) for name in rows[0]}


def _surfaces(
    trunk: Block, statistic: ObservationNorm, measure: Measure, initialisations: int, seed: int
) -> Iterator[Tensor]:
    """The output ``[points, points]`` of each initialisation, in the precision of the grid."""
    network = Network(trunk=trunk, head=Scalar())
    outline = network.outline((2,), 1)
    with torch.device("meta"):
        module = network.build((2,), 1).eval()
    grid = measure.grid(measure.points, EXTENT)
    statistics = statistic.build(1, 2, "cpu")
    if statistics is not None:
        statistics.observe(grid[None])
        grid = statistics.of_minibatch(grid[None], grid[None])(grid[None])[0].to(grid.dtype)
    for number in range(initialisations):

        def stream(path: str, number: int = number) -> int:
            return derive(seed, "simplicity", number, path)

        drawn = draw(outline, stream) | draw_buffers(outline, stream)
        state = {name: value.to(grid.dtype) if value.is_floating_point() else value for name, value in drawn.items()}
        with torch.no_grad():
            values = torch.cat([functional_call(module, state, (rows,)) for rows in grid.split(ROWS)])
        yield values.view(measure.points, measure.points)


def answer(blueprints: Mapping[str, Blueprint], initialisations: int, measure: Measure) -> dict[str, Any]:
    """Every trunk of the blueprints, by title, each also compared with the first.

    Raises Refused for a trunk of other inputs.
    """
    rows: list[dict[str, Any]] = []
    first: dict[str, Scores] = {}
    for title, blueprint in blueprints.items():
        statistic = blueprint.normalization.observation
        for trunk, roles in _trunks(blueprint):
            try:
                found = scores(trunk, statistic, measure, initialisations)
            except ShapeError as error:
                raise Refused(f"{title}: networks.{roles[0]} on two inputs: {error.message}") from None
            first = first or found
            apart = {
                name.replace(SCORE, "difference_to_first"): difference(each, first[name]).as_dict()
                for name, each in found.items()
            }
            summaries = {name: each.summary() for name, each in found.items()}
            rows.append(
                {"blueprint": title, "networks": roles, "normalization": statistic.kind, **summaries, **apart},
            )
    grid = {"points": measure.points, "extent": EXTENT, "frequency": measure.grid_note}
    head = {"measure": measure.name, "title": measure.score_title, "initialisations": initialisations}
    return {**head, "grid": grid, "level": LEVEL, "networks": rows}


def text(table: Mapping[str, Any]) -> str:
    """A line per network, and one for its difference to the first."""
    count, title = table["initialisations"], table["title"]
    lines = [f"simplicity, {title} over {count} initialisations, with its {method('initialisations')}"]
    for index, row in enumerate(table["networks"]):
        who = f"{row['blueprint']} {' and '.join(row['networks'])} ({row['normalization']})"
        lines.append(f"{who}: {_both(row, SCORE)}")
        if index:
            lines.append(f"  minus the first: {_both(row, 'difference_to_first')}")
    return "\n".join(lines)


def _both(row: Mapping[str, Any], name: str) -> str:
    """An estimate, and the same without the constant term where it was measured."""
    varying = row.get(f"{name}_without_constant")
    return span(row[name], FORM) + (f", without the constant term {span(varying, FORM)}" if varying else "")


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
