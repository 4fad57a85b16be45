"""The answer of ``composer simplicity``, of blueprints or of random MLPs, and its picture.

Tests: tests/studies/test_simplicity.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from composer.studies import plots
from composer.studies.simplicity import blueprints as of_blueprints
from composer.studies.simplicity import redshift
from composer.studies.simplicity.measures import MEASURES

if TYPE_CHECKING:
    from composer.blueprint import Blueprint

INITIALISATIONS: Final = 100
OF_A_COMBINATION: Final = 10
"""By default: of each network of a blueprint, and of each combination of random MLPs."""


def answer(
    blueprints: Mapping[str, Blueprint], measure: str, initialisations: int | None, plot: Path | None
) -> dict[str, Any]:
    """The table of the networks of blueprints by title, or of random MLPs where there are none; drawn to ``plot``.

    Raises Refused.
    """
    if plot is not None:
        plots.check(plot)
    chosen = MEASURES[measure]
    if blueprints:
        table = of_blueprints.answer(blueprints, initialisations or INITIALISATIONS, chosen)
    else:
        table = redshift.answer(chosen, initialisations or OF_A_COMBINATION)
    if plot is None:
        return table
    from composer.studies.simplicity.picture import draw

    draw(table, plot)
    return {**table, "plot": str(plot)}


def text(table: Mapping[str, Any]) -> str:
    """The table in words."""
    said = redshift.text(table) if "random" in table else of_blueprints.text(table)
    return f"{said}\n{table['plot']}" if "plot" in table else said
