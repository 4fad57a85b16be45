"""Interventions on networks while they learn. Importing this package registers every kind."""

from composer.interventions.alternate import Alternate
from composer.interventions.base import Activity, Intervention, Operation, OperationContext, Rewrite
from composer.interventions.clip import Clip
from composer.interventions.clocks import Lengths
from composer.interventions.combined import AllOf, AnyOf, Not
from composer.interventions.conditions import Change, Crossing, Plateau, Quantile, Slope
from composer.interventions.deepen import Deepen
from composer.interventions.entries import Prune, RenewWeights
from composer.interventions.inject import Inject
from composer.interventions.operations import Lerp, Nothing, Perturb, Project
from composer.interventions.planned import At, Every
from composer.interventions.recycle import Recycle
from composer.interventions.replace_units import ReplaceUnits
from composer.interventions.self_normalized import ResetSilentUnits
from composer.interventions.shrink import ShrinkByDirection, ShrinkByDormancy
from composer.interventions.sources import Fresh, FromAverage, Initial, Normal, Source, Zeros
from composer.interventions.triggers import Condition, Trigger
from composer.interventions.widen import Widen
from composer.networks.parameter_selectors import LastLayers, Paths, Selector

__all__ = [
    "Activity",
    "AllOf",
    "Alternate",
    "AnyOf",
    "At",
    "Change",
    "Clip",
    "Condition",
    "Crossing",
    "Deepen",
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
    "Prune",
    "Quantile",
    "Recycle",
    "RenewWeights",
    "ReplaceUnits",
    "ResetSilentUnits",
    "Rewrite",
    "Selector",
    "ShrinkByDirection",
    "ShrinkByDormancy",
    "Slope",
    "Source",
    "Trigger",
    "Widen",
    "Zeros",
]
