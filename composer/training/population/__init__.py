"""Several runs that differ in numbers alone, trained in one program. Tests: tests/training/test_population.py."""

from composer.training.population.stack import Stack
from composer.training.population.start import start

__all__ = ["Stack", "start"]
