"""Specs and families: how everything in a blueprint is declared.

A *spec* is a frozen, strict pydantic model. A *family* ("block", "head", "algorithm") is an open set of specs: a
subclass registers a *kind*, and a field annotated with the family accepts a table whose ``kind`` names any registered
kind, of composer or of a plug-in. Nothing here imports torch, so that reading a blueprint is fast.

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

from composer.spec.attribute_docs import attribute_docs
from composer.spec.wording import describe, listing, spelled, suggestion

FAMILIES: dict[str, type[Family]] = {}
"""Every family by name."""
FAMILY_KEY = "x-family"
"""The key of a JSON Schema that names the family of a value."""

T = TypeVar("T")
Items = Annotated[tuple[T, ...], Strict(False)]
"""A frozen list, such as ``Items[int]``: accepts a TOML array; its entries are validated strictly."""


def dump_tagged(value: Family) -> object:
    """The table (``kind`` first, then fields in declared order) or the shorthand that loads as ``value``."""
    return value.to_shorthand({"kind": value.kind, **value.model_dump()})


class Spec(BaseModel):
    """A frozen table of a blueprint. Unknown keys, lax conversions and non-finite numbers are errors."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        # A kind that no blueprint names needs no validator: that of a kind is built when it is first used.
        defer_build=True,
    )

    @classmethod
    def meaning(cls, name: str) -> str:
        """The docstring of a field; empty where it has none."""
        return attribute_docs(cls).get(name, "") if name in cls.model_fields else ""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            field.setdefault("description", cls.meaning(name))
        return schema

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, perhaps with other values, which are not checked. Nothing computed from this value is copied."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Family(Spec):
    """An open set of kinds. ``family="name"`` opens a family; ``kind="name"`` registers a kind.

    ``abstract=True`` marks a class between the two, which shares code among kinds and is none itself. Every kind has an
    ``example``, a table that validates; tests and the reference documentation read it.
    """

    family: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    example: ClassVar[Mapping[str, Any]] = {}
    _kinds: ClassVar[dict[str, type[Family]]] = {}

    def __init_subclass__(cls, *, family: str = "", kind: str = "", abstract: bool = False, **kwargs: Any) -> None:
        # Set before pydantic builds the schema, which differs between a family and a kind.
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
        # Runs when the class is complete, so that no broken class is registered.
        super().__pydantic_init_subclass__(**kwargs)
        if abstract:
            return
        registry, name = (FAMILIES, family) if family else (cls._kinds, kind)
        if name in registry:
            raise TypeError(f"{cls.__name__}: {name!r} is already registered, by {registry[name].__name__}")
        registry[name] = cls

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """The registered kinds by name, in alphabetical order."""
        return dict(sorted(cls._kinds.items()))  # type: ignore[arg-type]

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """The table that a shorthand (a list of blocks, a constant schedule) stands for; else ``value``."""
        return value

    def to_shorthand(self, table: dict[str, Any]) -> object:
        """The shorthand for this value where the family has one for it; else ``table``."""
        return table

    def without(self) -> Family | None:
        """What stands here once what this kind adds is taken out; None where it adds nothing by itself."""
        return None

    @classmethod
    def noun(cls) -> str:
        """The family's name in messages: ``running statistic``."""
        return cls.family.replace("_", " ")

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring, shown in tables."""
        return (inspect.getdoc(cls) or "").split("\n", 1)[0]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls.kind:
            return handler(source)
        # The family itself is never instantiated: a value is validated by the kind that it names.
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
        """The types of shorthand that the family accepts: ``number``, ``list``."""
        probes: tuple[tuple[str, object], ...] = (("number", 1), ("list", []))
        return tuple(name for name, probe in probes if isinstance(cls.from_shorthand(probe), Mapping))

    @classmethod
    def _accepted(cls) -> str:
        return " or ".join(f"a {name}" for name in (*cls.shorthands(), "table with 'kind'"))

    @classmethod
    def _json_schema(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Families refer to each other: the schema holds names, and inspect/json_schema.py adds the definitions.
        return {FAMILY_KEY: cls.family}


def plain_value(value: object) -> Any:
    """A value of TOML types: specs, also those in lists and mappings, become tables without absent options."""
    if isinstance(value, Family):
        value = dump_tagged(value)
    elif isinstance(value, Spec):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    return value
