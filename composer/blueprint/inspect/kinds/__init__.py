"""The command ``kinds``: families, their kinds, and the keys of each, as the reference pages have them.

``names`` finds what a name means, ``fields`` describes keys, ``example`` the shapes of an example, ``text`` and
``table`` format them. Tests: tests/blueprint/inspect/test_kinds.py.
"""

from composer.blueprint.inspect.kinds.names import UnknownNameError
from composer.blueprint.inspect.kinds.table import kinds_json
from composer.blueprint.inspect.kinds.text import kinds_text

__all__ = ["UnknownNameError", "kinds_json", "kinds_text"]
