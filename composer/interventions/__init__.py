"""Interventions on networks while they learn. Importing this package registers every kind."""

from composer.interventions.base import Activity, Intervention, Operation, OperationContext, Rewrite
from composer.interventions.clocks import Lengths
from composer.interventions.inject import Inject
from composer.interventions.operations import Lerp, Nothing, Perturb, Project
from composer.interventions.recycle import Recycle
from composer.interventions.replace_units import ReplaceUnits
from composer.interventions.sources import Fresh, FromAverage, Initial, Normal, Source, Zeros
from composer.interventions.triggers import At, Crossing, Every, Trigger
from composer.networks.parameter_selectors import LastLayers, Paths, Selector

__all__ = [
    "Activity",
    "At",
    "Crossing",
    "Every",
    "Fresh",
    "FromAverage",
    "Initial",
    "Inject",
    "Intervention",
    "LastLayers",
    "Lengths",
    "Lerp",
    "Normal",
    "Nothing",
    "Operation",
    "OperationContext",
    "Paths",
    "Perturb",
    "Project",
    "Recycle",
    "ReplaceUnits",
    "Rewrite",
    "Selector",
    "Source",
    "Trigger",
    "Zeros",
]
