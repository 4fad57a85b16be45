"""What is left of a field without what it adds: declared beside the field, read by ablations.

A kind as a whole says so by its method ``Family.without``. Tests: tests/blueprint/test_components.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Without:
    """Annotation of a field: with this value, what the field adds to the agent is absent.

    ``Annotated[float, Field(ge=0), Without(0)]``; None for an absent option. Of an empty table or list, as in
    ``Annotated[dict[str, Penalty], Without({})]``, every entry is a component of its own.
    """

    value: object
    """The value as in TOML, or a function from the present value to it."""

    def neutral(self, present: Any) -> object:
        """The value that takes the place of ``present``."""
        found: Callable[[Any], object] | object = self.value
        return found(present) if callable(found) else found
