"""Where a value of a blueprint comes from, what it means and what else it could be: the command ``explain``.

``history`` finds every layer that set it, ``fields`` what the specs say of it, ``answers`` writes it down. Tests:
tests/blueprint/test_explain.py.
"""

from composer.blueprint.inspect.explain.answers import explain_json, explain_text
from composer.blueprint.inspect.explain.find import Explanation, UnknownKeyError, explain

__all__ = ["Explanation", "UnknownKeyError", "explain", "explain_json", "explain_text"]
