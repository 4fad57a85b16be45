"""The command ``explain``: the origin of a value, its documentation and its alternatives.

``history`` finds the layers that set a value, ``fields`` its documentation, ``answers`` formats both.
Tests: tests/blueprint/test_explain.py.
"""

from composer.blueprint.inspect.explain.answers import explain_json, explain_text
from composer.blueprint.inspect.explain.find import Explanation, UnknownKeyError, explain

__all__ = ["Explanation", "UnknownKeyError", "explain", "explain_json", "explain_text"]
