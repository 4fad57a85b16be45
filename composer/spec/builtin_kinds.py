"""Registers every kind that ships with composer; ``composer.spec.plugins`` registers those of plug-ins."""

from __future__ import annotations

import importlib

PACKAGES = (
    "composer.networks.initializers",
    "composer.optim.schedules",
    "composer.algorithms.normalization.spec",
    "composer.replay.sampling",
    "composer.networks.blocks",
    "composer.networks.heads",
    "composer.networks.network",
    "composer.interventions",
    "composer.optim.penalties",
    "composer.optim",
    "composer.environments.labelled.datasets",
    "composer.environments",
    "composer.algorithms",
    "composer.tracking",
    "composer.diagnostics",
)
"""Packages that import their own kinds, and neither torch nor a simulator."""


def register() -> None:
    """Import every package that registers kinds."""
    for package in PACKAGES:
        importlib.import_module(package)
