"""Optimizers: how gradients move parameters."""

from composer.optim.adam import Adam, AdamW
from composer.optim.base import Optimizer

__all__ = ["Adam", "AdamW", "Optimizer"]
