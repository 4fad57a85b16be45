"""composer: deep-RL agents, and what is done to them while they learn, declared in one file.

Names and rooms are imported when they are first used, so that ``import composer`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer import (
        algorithms,
        blocks,
        datasets,
        diagnostics,
        environments,
        heads,
        initializers,
        interventions,
        normalization,
        optim,
        penalties,
        sampling,
        schedules,
        tracking,
    )
    from composer.api import compose, load, part, train
    from composer.blueprint import Blueprint, BlueprintError, dump
    from composer.building import build
    from composer.networks import Network
    from composer.results import Result

__version__ = "0.1.0"

__all__ = [
    "Blueprint",
    "BlueprintError",
    "Network",
    "Result",
    "algorithms",
    "blocks",
    "build",
    "compose",
    "datasets",
    "diagnostics",
    "dump",
    "environments",
    "heads",
    "initializers",
    "interventions",
    "load",
    "normalization",
    "optim",
    "part",
    "penalties",
    "sampling",
    "schedules",
    "tracking",
    "train",
]

_HOMES = {
    "composer.api": ("compose", "load", "part", "train"),
    "composer.blueprint": ("Blueprint", "BlueprintError", "dump"),
    "composer.building": ("build",),
    "composer.networks": ("Network",),
    "composer.results": ("Result",),
}


if not TYPE_CHECKING:  # To a type checker, a name that is not there is an error.

    def __getattr__(name: str) -> object:
        """The name from its module, or the room of that name."""
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(home), name)
                return value
        if name in __all__:
            return import_module(f"composer.{name}")
        raise AttributeError(f"module 'composer' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is offered, for editors and notebooks."""
    return sorted({*globals(), *__all__})
