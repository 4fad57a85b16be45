"""Specs and families: dispatch, nested error paths, shorthand, serialisation, registration."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES, Family, Items, Spec, dump_tagged
from composer.spec.wording import describe, listing, suggestion


class Shape(Family, family="test_shape"):
    """Something with an area; a list of shapes is a group, a number is a square."""

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A list is a group, a number a square."""
        if isinstance(value, list):
            return {"kind": "group", "of": value}
        return {"kind": "square", "side": value} if isinstance(value, int) else value


class Square(Shape, kind="square"):
    """Equal sides."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "square", "side": 2}
    side: int = Field(ge=1)


class Group(Shape, kind="group"):
    """Several shapes."""

    of: list[Shape]


class Around(Shape, kind="around"):
    """A frame."""

    inner: Shape | None = None
    widths: Items[float] = (1.0,)


class Drawing(Spec):
    """A table of shapes."""

    shapes: dict[str, Shape]
    default: Shape = Square(side=1)


def errors(values: object) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(values)
    return {error["loc"]: error["type"] for error in caught.value.errors()}


def test_kinds_nest_and_dump_as_they_load() -> None:
    values = {"shapes": {"a": [3, {"kind": "around", "inner": {"kind": "around"}, "widths": [1, 2.5]}], "b": 4}}
    drawing = Drawing.model_validate(values)
    group = drawing.shapes["a"]
    assert isinstance(group, Group)
    assert group.of[1] == Around(inner=Around(), widths=(1.0, 2.5))
    dumped = drawing.model_dump()
    assert dumped["shapes"]["a"]["of"][0] == {"kind": "square", "side": 3}
    assert list(dumped["shapes"]["a"]) == ["kind", "of"], "the kind comes first"
    assert Drawing.model_validate(dumped) == drawing
    assert pickle.loads(pickle.dumps(drawing)) == drawing
    assert dump_tagged(Square(side=2)) == Square.example


def test_errors_of_nested_kinds_carry_the_whole_path_and_come_together() -> None:
    values = {
        "shapes": {
            "a": [{"kind": "sqare", "side": 1}, {"kind": "around", "inner": {"kind": "square", "side": -1, "x": 1}}],
            "b": {"kind": "group"},
            "c": {"side": 1},
            "d": "square",
            "e": {"kind": 3},
        },
        "extra": 1,
    }
    assert errors(values) == {
        ("shapes", "a", "of", 0, "kind"): "kind_unknown",
        ("shapes", "a", "of", 1, "inner", "side"): "greater_than_equal",
        ("shapes", "a", "of", 1, "inner", "x"): "extra_forbidden",
        ("shapes", "b", "of"): "missing",
        ("shapes", "c"): "kind_missing",
        ("shapes", "d"): "family_type",
        ("shapes", "e", "kind"): "kind_unknown",
        ("extra",): "extra_forbidden",
    }


@pytest.mark.parametrize(
    ("side", "expected"), [("2", "int_type"), (2.0, "int_type"), (True, "int_type"), (0, "greater_than_equal")]
)
def test_values_are_strict(side: object, expected: str) -> None:
    assert errors({"shapes": {"a": {"kind": "square", "side": side}}}) == {("shapes", "a", "side"): expected}


def test_a_spec_is_frozen_and_finite() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Square(side=1).side = 2  # type: ignore[misc]
    assert errors({"shapes": {"a": {"kind": "around", "widths": [float("nan")]}}}) == {
        ("shapes", "a", "widths", 0): "finite_number"
    }


def test_registration_refuses_a_second_kind_of_a_name_and_leaves_the_first() -> None:
    with pytest.raises(TypeError, match="'square' is already registered, by Square"):
        type("Other", (Shape,), {"__module__": __name__}, kind="square")
    with pytest.raises(TypeError, match="exactly one of"):
        type("Neither", (Shape,), {"__module__": __name__})
    with pytest.raises(TypeError, match="'test_shape' is already registered, by Shape"):
        type("Again", (Family,), {"__module__": __name__}, family="test_shape")
    assert Shape.kinds() == {"around": Around, "group": Group, "square": Square}
    assert Square.summary() == "Equal sides."
    assert Shape.shorthands() == ("number", "list")


def test_every_kind_has_an_example_that_loads_and_dumps_as_itself() -> None:
    kinds.register()
    for name, family in FAMILIES.items():
        if name.startswith("test_"):
            continue
        for kind, member in family.kinds().items():
            value = family._dispatch(dict(member.example))
            assert type(value) is member, f"the example of {name} {kind!r}"
            assert family._dispatch(dump_tagged(value)) == value


def test_messages_show_values_on_one_line_and_shortened() -> None:
    assert describe('a "quoted"\nline') == r'string "a \"quoted\"\nline"'
    assert describe("x" * 500) == f'string "{"x" * 40}... (500 characters)"'
    assert describe(True) == "boolean true"
    assert describe([1]) == "list"
    assert suggestion("layernrom", ["layer_norm", "linear"]) == "; did you mean 'layer_norm'?"
    assert suggestion("zzz", ["b", "a"]) == "; one of 'a', 'b'"
    assert listing(str(number) for number in range(10, 30)).endswith("'20', '21' and 8 more")
