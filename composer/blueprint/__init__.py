"""The blueprint language: from the text of a file to a frozen, checked ``Blueprint``. Imports no torch."""

from composer.blueprint.load import Loaded, check, load, loads_resolved
from composer.blueprint.schema import Blueprint, Checkpoint, Compute, Evaluation, Replay, Training
from composer.blueprint.serialize import diff, digest, dump, flatten
from composer.blueprint.syntax.problems import BlueprintError, Problem
from composer.optim.averages import Average

__all__ = [
    "Average",
    "Blueprint",
    "BlueprintError",
    "Checkpoint",
    "Compute",
    "Evaluation",
    "Loaded",
    "Problem",
    "Replay",
    "Training",
    "check",
    "diff",
    "digest",
    "dump",
    "flatten",
    "load",
    "loads_resolved",
]
