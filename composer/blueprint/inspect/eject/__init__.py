"""``composer eject``: the networks of a blueprint as one readable file of plain torch, with no composer in it."""

from composer.blueprint.inspect.eject.document import Subject, eject, printed
from composer.blueprint.inspect.eject.sources import EjectError

__all__ = ["EjectError", "Subject", "eject", "printed"]
