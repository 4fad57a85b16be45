"""Specs and families: how everything in a blueprint is declared.

A *spec* is a frozen, strict pydantic value; its one verb is ``build``. A *family* ("block", "head", "algorithm")
is an open set of specs: subclassing registers a *kind*, and a field annotated with the family accepts a table whose
``kind`` names any registered member, whoever wrote it. Nothing here imports torch, so that reading a blueprint is fast.

    class Block(Family, family="block"): ...
    class Linear(Block, kind="linear"): width: int
    class Residual(Block, kind="residual"): block: Block      # accepts any kind of block, nested
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

FAMILIES: dict[str, type[Family]] = {}

FAMILY_KEY = "x-family"
"""In a JSON Schema, stands where a value of the named family is expected."""

MAX_CANDIDATES = 1_000
"""Names among which a near one is looked for: comparing them takes ten milliseconds."""

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


def describe(value: object) -> str:
    """Name a TOML value's type and show it, as error messages do: ``string "256"``."""
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "list", dict: "table"}
    name = names.get(type(value), type(value).__name__)
    if isinstance(value, list | dict):
        return name
    if isinstance(value, bool):
        return f"{name} {str(value).lower()}"
    return f"{name} {quote(value) if isinstance(value, str) else shorten(str(value))}"


def spelled(name: object) -> str:
    """A name in single quotes, cut to a readable length; foreign letters that pass for Latin ones are escaped.

    What is no string is described instead.
    """
    return ascii(shorten(name)) if isinstance(name, str) else describe(name)


def quote(text: str) -> str:
    """``text`` in double quotes on one line, what cannot be printed escaped, cut to a readable length."""
    return printable(json.dumps(shorten(text), ensure_ascii=False))


def printable(text: str) -> str:
    """``text`` with everything escaped that would move a terminal's cursor or turn its letters round."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shorten(text: str, limit: int = 60) -> str:
    """``text``, or its beginning and its length where it is too long for a message."""
    return text if len(text) <= limit else f"{text[: limit - 20]}... ({len(text)} characters)"


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` most likely meant, if any is close; capitals and hyphens make no difference."""
    candidates = sorted(known)[:MAX_CANDIDATES]
    folded = {_folded(candidate): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(_folded(name[:100]), sorted(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'layer_norm'?`` where a near name exists, else the list of what is known."""
    names = sorted(known)
    meant = near(name, names)
    return f"; did you mean {meant!r}?" if meant else f"; one of {listing(names)}"


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names in quotes, cut after ``limit`` with a count."""
    ordered = sorted(names)
    shown = ", ".join(repr(name) for name in ordered[:limit]) or "(none)"
    return shown if len(ordered) <= limit else f"{shown} and {len(ordered) - limit} more"
