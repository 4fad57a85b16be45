"""Keys of a blueprint and their values, one level at a time, from its JSON Schema and from what it writes.

Tests: tests/cli/completion/test_words.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Schema = Mapping[str, Any]
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_REFUSED = frozenset({"blueprint", "extends", "variants", "remove"})
"""Keys of a file that no override can set."""


_TAGS = ("kind", "use")
"""Keys that choose what the others of their table are."""


class Place(NamedTuple):
    """A key: schemas of what can be there, and what is there; None where nothing is written."""

    options: Sequence[Schema]
    value: Any


def words(word: str, schema: Schema, written: Mapping[str, Any]) -> list[str]:
    """Overrides that begin with ``word``: keys with ``=`` or ``.`` after them, ``~KEY``, or ``KEY=VALUE``."""
    root = Place([schema], written)
    tilde = "~" if word.startswith("~") else ""
    key, mark, begin = word.removeprefix(tilde).partition("=")
    definitions = schema.get("$defs", {})
    if mark:
        place = _at(root, key, definitions)
        values = [] if place is None else [f"{key}={text}" for text in _values(place, definitions)]
        return [each for each in values if each.startswith(f"{key}={begin}")]
    return [f"{tilde}{each}" for each in _keys(root, key, definitions, bool(tilde))]


def dotted(word: str, schema: Schema, written: Mapping[str, Any]) -> list[str]:
    """Paths of keys and tables that begin with ``word``."""
    return [*_keys(Place([schema], written), word, schema.get("$defs", {}), True)]


def _keys(root: Place, word: str, definitions: Schema, is_bare: bool) -> Iterator[str]:
    """One level of keys; a table or a key that stands alone is followed by what comes after it."""
    above, _, begin = word.rpartition(".")
    place = _at(root, above, definitions)
    if place is None:
        return
    prefix = f"{above}." if above else ""
    found = {
        name: child
        for name, child in _children(place, definitions).items()
        if name.startswith(begin) and (above or name not in _REFUSED)
    }
    for name, child in found.items():
        has_keys = _is_table(child, definitions) and bool(_children(child, definitions))
        if is_bare:
            yield f"{prefix}{name}"
        if has_keys and len(found) == 1:
            yield from _keys(root, f"{prefix}{name}.", definitions, is_bare)
        elif has_keys:
            yield f"{prefix}{name}."
        elif not is_bare:
            yield f"{prefix}{name}="
            if len(found) == 1:  # A word alone would be ended by a space.
                yield from (f"{prefix}{name}={text}" for text in _values(child, definitions))


def _at(place: Place | None, path: str, definitions: Schema) -> Place | None:
    for match in _STEP.finditer(path):
        if place is None:
            return None
        place = _children(place, definitions).get(match[1] or f"[{match[2]}]")
    return place


def _children(place: Place, definitions: Schema) -> dict[str, Place]:
    """What is below a key, by name; entries of a list as ``[0]``."""
    value = place.value if isinstance(place.value, Mapping) else {}
    found: dict[str, Place] = {}
    for option in _fitting(place, definitions):
        for name, inner in option.get("properties", {}).items():
            found.setdefault(name, Place([inner], value.get(name)))
        for inner in option.get("patternProperties", {}).values():
            for name in value:
                found.setdefault(name, Place([inner], value[name]))
        if isinstance(place.value, list) and isinstance(option.get("items"), Mapping):
            for index, entry in enumerate(place.value):
                found[f"[{index}]"] = Place([option["items"]], entry)
    for name in value:
        found.setdefault(name, Place([], value[name]))
    for name in found.keys() & set(_TAGS):
        tags = [each["properties"][name] for each in _all(place, definitions) if name in each.get("properties", {})]
        found[name] = Place(tags, value.get(name))
    return found


def _fitting(place: Place, definitions: Schema) -> list[Schema]:
    """The schemas that fit what is written there: of its kind, or of its part; all where nothing is."""
    options = _all(place, definitions)
    for key in _TAGS:
        if isinstance(place.value, Mapping) and key in place.value:
            name = place.value[key]
            chosen = [each for each in options if each.get("properties", {}).get(key, {}).get("const") == name]
            options = chosen or options
    return options


def _all(place: Place, definitions: Schema) -> list[Schema]:
    return [each for schema in place.options for each in _flat(schema, definitions)]


def _flat(schema: Schema, definitions: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name != "reference" and name in definitions:
            yield from _flat(definitions[name], definitions)
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _flat({**{key: schema[key] for key in ("default",) if key in schema}, **each}, definitions)
    else:
        yield schema


def _is_table(place: Place, definitions: Schema) -> bool:
    """Whether keys follow: a table is written there, or nothing but a table can be."""
    if place.value is not None:
        return isinstance(place.value, Mapping)
    options = _all(place, definitions)
    return bool(options) and all(each.get("type") == "object" for each in options)


def _values(place: Place, definitions: Schema) -> Iterator[str]:
    """The values that a key can have where they are known, else what it has, else its default."""
    options = _all(place, definitions)
    known = [value for each in options for value in (*each.get("enum", ()), *each.get("examples", ()))]
    known += [each["const"] for each in options if "const" in each]
    if any(each.get("type") == "boolean" for each in options):
        known += [True, False]
    if not known:
        known = [place.value] if place.value is not None else []
        known = known or [each["default"] for each in options if each.get("default") is not None][:1]
    for value in dict.fromkeys(map(_text, known)):
        if value is not None:
            yield value


def _text(value: object) -> str | None:
    """A value as an override writes it; None of one with quotes or spaces, which a shell would take apart."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text if re.fullmatch(r"[\w.+,\[\]/-]+", text) else None
