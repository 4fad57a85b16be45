"""The command ``new``: a commented blueprint of an algorithm in an environment, which passes every check and trains.

``choose`` finds the environment and the values, ``write`` gives them comments from the documentation of the keys.
Tests: tests/blueprint/inspect/test_skeleton.py.
"""

from composer.blueprint.inspect.skeleton.choose import DoesNotFit
from composer.blueprint.inspect.skeleton.write import skeleton

__all__ = ["DoesNotFit", "skeleton"]
