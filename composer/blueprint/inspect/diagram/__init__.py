"""The networks of a blueprint as a figure that a paper can print. Torch-free; matplotlib is imported where it draws.

``layout`` turns an outline into a sketch by arithmetic alone, ``figure`` draws sketches. Tests:
tests/blueprint/test_diagram.py.
"""

from composer.blueprint.inspect.diagram.figure import SUFFIXES, UndrawableError, draw

__all__ = ["SUFFIXES", "UndrawableError", "draw"]
