"""``composer eject``: the networks of a blueprint as one readable file of plain torch, with no composer in it."""

from composer.eject.document import Subject, eject, printed
from composer.eject.sources import EjectError

__all__ = ["EjectError", "Subject", "eject", "printed"]
