"""Brings every kind that ships with composer into its family; those of plug-ins come by ``composer.plugins``."""

from __future__ import annotations

import importlib

# Packages import their own kinds; none of them may import torch or a simulator on the way.
_ROOMS = (
    "composer.initializers",
    "composer.schedules",
    "composer.normalization",
    "composer.sampling",
    "composer.blocks",
    "composer.heads",
    "composer.networks",
    "composer.interventions",
    "composer.penalties",
    "composer.optim",
    "composer.datasets",
    "composer.environments",
    "composer.algorithms",
    "composer.tracking",
    "composer.diagnostics",
)


def register() -> None:
    """Import every room of composer that registers kinds."""
    for room in _ROOMS:
        importlib.import_module(room)
