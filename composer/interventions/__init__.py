"""Interventions on networks while they learn. Importing this package registers every kind."""

from composer.interventions.base import Activity, Intervention, Operation, OperationContext, Rewrite
from composer.interventions.clocks import Lengths
from composer.interventions.combined import AllOf, AnyOf, Not
from composer.interventions.conditions import Change, Crossing, Plateau, Quantile, Slope
from composer.interventions.inject import Inject
from composer.interventions.operations import Lerp, Nothing, Perturb, Project
from composer.interventions.planned import At, Every
from composer.interventions.recycle import Recycle
from composer.interventions.replace_units import ReplaceUnits
from composer.interventions.sources import Fresh, FromAverage, Initial, Normal, Source, Zeros
from composer.interventions.triggers import Condition, Trigger
from composer.networks.parameter_selectors import LastLayers, Paths, Selector

__all__ = [
    "Activity",
    "AllOf",
    "AnyOf",
    "At",
    "Change",
    "Condition",
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
    "Not",
    "Nothing",
    "Operation",
    "OperationContext",
    "Paths",
    "Perturb",
    "Plateau",
    "Project",
    "Quantile",
    "Recycle",
    "ReplaceUnits",
    "Rewrite",
    "Selector",
    "Slope",
    "Source",
    "Trigger",
    "Zeros",
]
