"""Specs and families: how everything in a blueprint is declared.

A *spec* is a frozen, strict pydantic value; its one verb is ``build``. A *family* ("block", "head", "algorithm")
is an open set of specs: subclassing registers a *kind*, and a field annotated with the family accepts a table whose
``kind`` names any registered member, whoever wrote it. Nothing here imports torch, so that reading a blueprint is fast.

    class Block(Family, family="block"): ...
    class Linear(Block, kind="linear"): width: int
    class Residual(Block, kind="residual"): block: Block      # accepts any kind of block, nested
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from composer.spec.wording import (
    describe,
    listing,
    spelled,
    suggestion,
)

FAMILIES: dict[str, type[Family]] = {}

FAMILY_KEY = "x-family"
"""In a JSON Schema, stands where a value of the named family is expected."""


T = TypeVar("T")
Items = Annotated[tuple[T, ...], Strict(False)]
"""A frozen list: a TOML array (a Python list) is accepted; its entries stay strict. Write ``Items[int]``."""


def dump_tagged(value: Family) -> object:
    """``kind`` first, then the fields in declared order, or the shorthand: what a family dumps is what it loads."""
    return value.to_shorthand({"kind": value.kind, **value.model_dump()})


class Spec(BaseModel):
    """A frozen value of a blueprint: unknown keys, lax conversions and non-finite numbers are errors."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, perhaps with other values, which are not checked. Nothing computed from this value is copied."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Family(Spec):
    """An open set of kinds. Subclass with ``family="name"`` to open one, with ``kind="name"`` to join one.

    A class between the two, with what several kinds share, says ``abstract=True`` and is no kind itself.

    Every kind carries one ``example``: a table that validates, read by the tests and by the reference documentation.
    """

    family: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}
    _kinds: ClassVar[dict[str, type[Family]]] = {}

    def __init_subclass__(cls, *, family: str = "", kind: str = "", abstract: bool = False, **kwargs: Any) -> None:
        # Before pydantic builds the schema, which depends on whether the class is the root of a family or a kind.
        super().__init_subclass__(**kwargs)
        if bool(family) + bool(kind) + abstract != 1:
            raise TypeError(f"{cls.__name__}: give exactly one of family=... (to open one) and kind=... (to join one)")
        cls.kind = kind
        if family:
            cls.family, cls._kinds = family, {}

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, family: str = "", kind: str = "", abstract: bool = False, **kwargs: Any
    ) -> None:
        # After the class is complete: only whole classes are registered.
        super().__pydantic_init_subclass__(**kwargs)
        if abstract:
            return
        registry, name = (FAMILIES, family) if family else (cls._kinds, kind)
        if name in registry:
            raise TypeError(f"{cls.__name__}: {name!r} is already registered, by {registry[name].__name__}")
        registry[name] = cls

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """The registered kinds of this family, by name, in alphabetical order."""
        return dict(sorted(cls._kinds.items()))  # type: ignore[arg-type]

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """Rewrite the family's one shorthand (a list of blocks, a constant schedule) to a table; else ``value``."""
        return value

    def to_shorthand(self, table: dict[str, Any]) -> object:
        """The family's shorthand for this value where people would write it so; else ``table``."""
        return table

    @classmethod
    def noun(cls) -> str:
        """The family's name as messages write it: ``running statistic``."""
        return cls.family.replace("_", " ")

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring: what a reference table shows."""
        return (inspect.getdoc(cls) or "").split("\n", 1)[0]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls.kind:
            return handler(source)
        # The root of a family is never instantiated: a value is dispatched to the kind that it names.
        return core_schema.no_info_plain_validator_function(
            cls._dispatch,
            serialization=core_schema.plain_serializer_function_ser_schema(
                dump_tagged, return_schema=core_schema.any_schema()
            ),
            metadata={"pydantic_js_functions": [cls._json_schema]},
        )

    @classmethod
    def _dispatch(cls, value: object) -> Family:
        value = cls.from_shorthand(value)
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "family_type",
                "expected {accepted} ({family}), got {got}",
                {"accepted": cls._accepted(), "family": cls.noun(), "got": describe(value)},
            )
        fields = dict(value)
        if "kind" not in fields:
            raise PydanticCustomError(
                "kind_missing",
                "this {family} has no 'kind'; one of {names}",
                {"family": cls.noun(), "names": listing(cls._kinds)},
            )
        name = fields.pop("kind")
        found = cls._kinds.get(name) if isinstance(name, str) else None
        if found is None:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    {
                        "type": PydanticCustomError(
                            "kind_unknown",
                            "no {family} named {name}{hint}",
                            {"family": cls.noun(), "name": spelled(name), "hint": suggestion(str(name), cls._kinds)},
                        ),
                        "loc": ("kind",),
                        "input": name,
                    }
                ],
            )
        return found.model_validate(fields)

    @classmethod
    def shorthands(cls) -> tuple[str, ...]:
        """What stands for a table of this family: ``number`` or ``list``."""
        probes: tuple[tuple[str, object], ...] = (("number", 1), ("list", []))
        return tuple(name for name, probe in probes if isinstance(cls.from_shorthand(probe), Mapping))

    @classmethod
    def _accepted(cls) -> str:
        return " or ".join(f"a {name}" for name in (*cls.shorthands(), "table with 'kind'"))

    @classmethod
    def _json_schema(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Families refer to each other and to themselves: a name stands here, definitions are put together elsewhere.
        return {FAMILY_KEY: cls.family}
