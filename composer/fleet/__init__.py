"""A fleet: variants that differ in numbers alone, trained in one program. Tests: tests/contracts/test_fleet.py."""

from composer.fleet.stack import Stack
from composer.fleet.start import Ship, start

__all__ = ["Ship", "Stack", "start"]
