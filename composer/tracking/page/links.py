"""Addresses of MLflow's page. Tests: tests/tracking/test_ui.py, tests/tracking/page/test_browser.py."""

from __future__ import annotations

import re
from typing import Final, Literal

OVERVIEW: Final = "overview"
"""Key of the view that opens first."""
VIEW_TAG: Final = "mlflow.sharedViewState."
"""A tag of an experiment of this name and a key has a view of its page."""
TRAINING: Final = "workflowType=machine_learning"


def link(experiment: str, view: str | None = None, mode: Literal["CHART", "TABLE"] = "CHART") -> str:
    """The charts, or the table, of an experiment, by its id, in the view of this key, from ``#`` on.

    MLflow ignores the view if the address says anything of filters or order as well.
    """
    shown = f"&viewStateShareKey={view}" if view else ""
    return f"#/experiments/{experiment}/runs?{TRAINING}&compareRunsMode={mode}{shown}"


def run_link(experiment: str, run: str) -> str:
    """The page of a run, by the ids of its experiment and of its own, from ``#`` on."""
    return f"#/experiments/{experiment}/runs/{run}"


def escaped(text: str) -> str:
    """A text as Markdown shows it letter by letter."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", text)
