"""Complexity of MLPs with random weights, by the size of their weights, their depth and their activation.

A network has two inputs in [-1, 1], hidden layers of 64 units and a linear output; weights and biases are drawn
uniformly from [-A, A]. Source: Neural Redshift, arXiv:2403.02241, and the authors' code. Each function is measured by
itself; draws of one number differ in their scale A alone. Tests: tests/papers/test_neural_redshift.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from composer.spec.interval import LEVEL, method
from composer.spec.random_streams import derive
from composer.studies.simplicity.measures import Measure
from composer.studies.statistics import DISTANCE, Scores

WIDTH: Final = 64
POINTS = 64
"""Points on each axis of the grid; 300 in the authors' code."""
DEPTHS: Sequence[int] = (1, 2, 3, 4, 5, 6, 7)
MAGNITUDES: Sequence[float] = tuple(10 ** (-1 + 3 * step / 14) for step in range(15))
"""From 0.1 to 100."""
ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {
        "relu": functional.relu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "selu": functional.selu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "sin": torch.sin,
        "gaussian": lambda x: torch.exp(-x.square()),
    }
)


def answer(measure: Measure, initialisations: int) -> dict[str, Any]:
    """The complexity of every combination, with its interval over initialisations."""
    grid = measure.grid(POINTS, 1.0).double()
    rows = [
        {
            "activation": activation,
            "depth": depth,
            "magnitude": magnitude,
            "complexity": Scores.of(
                [
                    measure.complexity(function(grid, ACTIVATIONS[activation], depth, magnitude, number))
                    for number in range(initialisations)
                ],
                bounds=DISTANCE,
            ).summary(),
        }
        for activation in ACTIVATIONS
        for depth in DEPTHS
        for magnitude in MAGNITUDES
    ]
    shape = {"points": POINTS, "extent": 1.0, "frequency": measure.grid_note}
    head = {"measure": measure.name, "title": measure.title, "initialisations": initialisations, "width": WIDTH}
    return {**head, "grid": shape, "level": LEVEL, "random": rows}


@torch.no_grad()
def function(grid: Tensor, activation: Callable[[Tensor], Tensor], depth: int, magnitude: float, number: int) -> Tensor:
    """The output ``[points, points]`` of a network of ``depth`` hidden layers on ``grid [points^2, 2]``, float64.

    Equal numbers have equal draws, times ``magnitude``.
    """
    draws = torch.Generator().manual_seed(derive(0, "redshift", depth, number))
    x = grid
    for layer in range(depth + 1):
        width = WIDTH if layer < depth else 1
        weight, bias = (
            (torch.rand(width, size, dtype=torch.float64, generator=draws) * 2 - 1) * magnitude
            for size in (x.shape[1], 1)
        )
        x = torch.addmm(bias[:, 0], x, weight.mT)
        x = activation(x) if layer < depth else x
    side = round(len(grid) ** 0.5)
    return x.view(side, side)


def text(table: Mapping[str, Any]) -> str:
    """A block per activation, a line per depth: the complexity at the smallest, a middle and the largest weights."""
    count, rows = table["initialisations"], table["random"]
    spread = f"--json has each {method('initialisations')}"
    lines = [f"{table['title']} of MLPs with random weights, mean of {count} initialisations; {spread}"]
    magnitudes = sorted({row["magnitude"] for row in rows})
    shown = sorted({magnitudes[0], magnitudes[len(magnitudes) // 2], magnitudes[-1]})
    for row in rows:
        if row["magnitude"] == shown[0]:
            same = [each for each in rows if (each["activation"], each["depth"]) == (row["activation"], row["depth"])]
            values = (
                f"{each['complexity']['value']:.4f} at A = {each['magnitude']:.3g}"
                for each in same
                if each["magnitude"] in shown
            )
            lines.append(f"{row['activation']}, {row['depth']} hidden: {', '.join(values)}")
    return "\n".join(lines)
