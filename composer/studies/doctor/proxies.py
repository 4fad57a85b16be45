"""What diagnostics say of the network examined, beside the same at its birth. Tests: tests/studies/test_doctor.py.

A proxy alone decides nothing: none of them tells in every case whether a network still learns (arXiv:2303.01486).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from composer.blueprint import Blueprint
from composer.diagnostics import (
    DeadUnits,
    Diagnostic,
    Dormant,
    FeatureNorm,
    GradientNorm,
    ParameterNorm,
    Rank,
)
from composer.networks.outline import Outline
from composer.studies.measure_run import measure

Proxies = dict[str, dict[str, list[float]]]
"""By name: ``birth`` and ``now``, a value a seed."""


def proxies(run: Path, blueprint: Blueprint, role: str, at: int) -> Proxies:
    """Units, ranks and norms of one network in the checkpoint of environment step ``at``, and as it was first drawn.

    Both are read on the same samples.
    """
    outlines = {name: found for name, found in blueprint.outlines.items() if isinstance(found, Outline)}
    roles = (role,)
    wanted: tuple[Diagnostic, ...] = (
        Dormant(roles=roles),
        DeadUnits(roles=roles),
        Rank(roles=roles),
        FeatureNorm(roles=roles),
        ParameterNorm(roles=roles),
        GradientNorm(roles=roles),
    )
    measures = [each for each in wanted if not list(each.problems(outlines))]
    birth, now = (measure(run, measures, at, newborn=newborn) for newborn in (True, False))
    names = list(next(iter(now.values())))
    return {
        name.removeprefix(f"diagnostics/{role}/"): {
            "birth": [row[name] for row in birth.values()],
            "now": [row[name] for row in now.values()],
        }
        for name in names
    }


def lines(found: Proxies) -> list[str]:
    """A table for people: means over seeds."""
    body = [["", "at birth", "now"]]
    body += [[name, *(f"{np.mean(sides[side]):.3g}" for side in ("birth", "now"))] for name, sides in found.items()]
    widths = [max(len(row[column]) for row in body) for column in range(3)]
    return [f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}" for row in body]
