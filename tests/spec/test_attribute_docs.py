"""Docstrings of attributes, read from sources on demand, against what pydantic reads when a class is defined."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from composer.spec.attribute_docs import attribute_docs


class Documented(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)
    limit: ClassVar[int] = 3
    """No field."""
    bare: int
    one: int
    """One line."""
    several: float = 1.0
    """Several
    lines.
    """


class Changed(Documented):
    one: int = 2
    two: int = 3
    """Another."""

    class Inner(BaseModel):
        model_config = ConfigDict(use_attribute_docstrings=True)
        deep: int
        """Inside."""


@pytest.mark.parametrize("model", [Documented, Changed, Changed.Inner], ids=lambda model: str(model.__qualname__))
def test_docstrings_are_those_that_pydantic_finds(model: type[BaseModel]) -> None:
    found = {name: attribute_docs(model)[name] for name in model.model_fields}
    assert found == {name: field.description or "" for name, field in model.model_fields.items()}


def test_classes_inside_functions_have_theirs() -> None:
    class Local:
        x: int
        """Within."""

    assert attribute_docs(Local)["x"] == "Within."


def test_a_class_without_source_has_none() -> None:
    scope: dict[str, type] = {}
    exec("class Typed:\n    x: int\n    'unseen'\n", {"__name__": "nowhere"}, scope)
    assert attribute_docs(scope["Typed"]) == {"x": ""}
