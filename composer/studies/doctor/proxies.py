"""Diagnostics of the examined network, now and at initialisation. Tests: tests/studies/test_doctor.py.

No proxy decides the verdict: none of them shows in every case whether a network still learns (arXiv:2303.01486).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from composer.blueprint import Blueprint
from composer.diagnostics import DeadUnits, Diagnostic, Dormant, FeatureNorm, GradientNorm, ParameterNorm, Rank
from composer.spec.quantities import columns
from composer.studies.doctor.site import outlines_of
from composer.studies.measure_run import measure

Proxies = dict[str, dict[str, list[float]]]
"""By name: ``birth`` and ``now``, one value per seed."""


def proxies(run: Path, blueprint: Blueprint, role: str, at: int) -> Proxies:
    """Units, ranks and norms of one network at environment step ``at`` and at initialisation, on the same samples."""
    outlines = outlines_of(blueprint)
    kinds = (Dormant, DeadUnits, Rank, FeatureNorm, ParameterNorm, GradientNorm)
    wanted: list[Diagnostic] = [kind(roles=(role,)) for kind in kinds]
    measures = [each for each in wanted if not list(each.problems(outlines))]
    birth, now = (measure(run, measures, at, untrained=untrained) for untrained in (True, False))
    names = list(next(iter(now.values())))
    return {
        name.removeprefix(f"diagnostics/{role}/"): {
            "birth": [row[name] for row in birth.values()],
            "now": [row[name] for row in now.values()],
        }
        for name in names
    }


def lines(found: Proxies) -> list[str]:
    """Means over seeds as a table."""
    body = [["", "at initialisation", "now"]]
    body += [[name, *(f"{np.mean(sides[side]):.3g}" for side in ("birth", "now"))] for name, sides in found.items()]
    return columns(body, right=(1, 2))
