"""A plug-in of composer: importing it registers its kinds. Its parts are in the folder ``registry/`` beside this file.

As everywhere in composer, specs import no torch: that stands in ``modules``, which is imported when a network is built.
"""

from composer_acme.bounded import BoundedTargets
from composer_acme.layers import AbsoluteNorm, NtkLinear
from composer_acme.periodic import Periodic
from composer_acme.slider import Slider
from composer_acme.softsign import SoftsignGaussian

__all__ = ["AbsoluteNorm", "BoundedTargets", "NtkLinear", "Periodic", "Slider", "SoftsignGaussian"]
