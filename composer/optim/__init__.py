"""Optimizers: how gradients move parameters."""

from composer.optim.adam import Adam, AdamW, RAdam
from composer.optim.base import Optimizer
from composer.optim.kron import Kron
from composer.optim.laprop import LaProp
from composer.optim.muon import Muon
from composer.optim.sam import Sam
from composer.optim.sgd import Rmsprop, Sgd
from composer.optim.trac import Trac
from composer.optim.upgd import Upgd

__all__ = ["Adam", "AdamW", "Kron", "LaProp", "Muon", "Optimizer", "RAdam", "Rmsprop", "Sam", "Sgd", "Trac", "Upgd"]
