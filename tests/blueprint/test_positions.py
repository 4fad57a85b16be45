"""Places of keys and values: against a text that shows them, and against any text that TOML can write."""

from __future__ import annotations

from typing import Any

import tomli
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.blueprint.syntax.positions import Path, scan

TEXT = '''\
name = "ünï" # a # comment
a.b."c d" = 1
when = 1979-05-27 07:32:00

[networks.critic]  # header
trunk = [
  { kind = "linear", width = 3 }, # one
  { kind = 'residual', block = { kind = "linear", width = -3 } },
  [[1, 2], [
    3]],
]
s = """
multi "" line = 1
[no.header]""""
x.y = 1

[[list]]
a = 1
[[list]]
a = 2
[list.sub]
q = {}
[[list.sub.deep]]
'literal key' = true
'''


def test_places_in_a_text_with_everything() -> None:
    places = scan(TEXT).locations
    shown = {path: (place.key, place.value) for path, place in places.items()}
    trunk: Path = ("networks", "critic", "trunk")
    assert shown[("name",)] == ((1, 1), (1, 8))
    assert shown[("a", "b")] == ((2, 3), (2, 3))
    assert shown[("a", "b", "c d")] == ((2, 5), (2, 13))
    assert shown[("when",)] == ((3, 1), (3, 8))
    assert shown[("networks",)] == ((5, 2), (5, 2))
    assert shown[("networks", "critic")] == ((5, 11), (5, 1))
    assert shown[(*trunk, 1)] == ((8, 3), (8, 3))
    assert shown[(*trunk, 1, "block", "width")] == ((8, 51), (8, 59))
    assert shown[(*trunk, 2, 1, 0)] == ((10, 5), (10, 5))
    assert shown[("networks", "critic", "s")] == ((12, 1), (12, 5))
    assert shown[("networks", "critic", "x", "y")] == ((15, 3), (15, 7))
    assert shown[("list", 1, "a")] == ((20, 1), (20, 5))
    assert shown[("list", 1, "sub", "q")] == ((22, 1), (22, 5))
    assert shown[("list", 1, "sub", "deep", 0, "literal key")] == ((24, 1), (24, 17))
    assert set(_paths(tomli.loads(TEXT))) <= set(places)


def test_keys_and_tables_set_twice() -> None:
    found = scan("a = 1\n[t]\nb.c = 1\nb.c = 2\n[u]\n[t]\n")
    assert [(twice.path, twice.first, twice.second, twice.is_table) for twice in found.duplicates] == [
        (("t", "b", "c"), (3, 3), (4, 3), False),
        (("t",), (2, 2), (6, 2), True),
    ]


_KEYS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
_SCALARS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.dates(), st.datetimes(), _KEYS)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_KEYS, _VALUES, max_size=4), st.booleans())
def test_every_value_of_any_document_has_a_place(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline).replace("\r\n", "\n")
    found = scan(text)
    assert found.broken is None
    assert not found.duplicates
    lines = text.split("\n")
    for path in _paths(tomli.loads(text)):
        place = found.locations[path]
        if isinstance(path[-1], str):
            written = lines[place.key[0] - 1][place.key[1] - 1 :]
            assert tomli.loads(f"{_key(written)} = 1") == {path[-1]: 1}


_GAPS = st.sampled_from(["", " ", "\n", "\n  # a comment, with { and }\n", " \t\n\n"])
_INLINE = st.recursive(
    st.sampled_from(["1", "'x}'", '"a\\"{"', "[\n1,\n]"]),
    lambda inner: st.tuples(st.lists(inner, max_size=3), st.lists(_GAPS, min_size=8, max_size=8), st.booleans()).map(
        lambda drawn: _inline(*drawn)
    ),
    max_leaves=8,
)


def _inline(values: list[str], gaps: list[str], comma: bool) -> str:
    """An inline table over several lines, as TOML 1.1 has it, perhaps with a comma at its end."""
    pairs = [f"{gaps[2 * at]}k{at} = {value}{gaps[2 * at + 1]}" for at, value in enumerate(values)]
    return "{" + ",".join(pairs) + ("," if comma and pairs else "") + gaps[7] + "}"


@settings(max_examples=200, deadline=None)
@given(_INLINE)
def test_keys_of_inline_tables_over_several_lines_have_places(value: str) -> None:
    text = f"a = {value}\nb = 1\n"
    found, lines = scan(text), text.split("\n")
    assert found.broken is None
    for path in _paths(tomli.loads(text)):
        line, column = found.locations[path].key
        if isinstance(path[-1], str):
            assert lines[line - 1][column - 1 :].startswith(f"{path[-1]} = ")
    assert found.locations[("b",)].value == (len(lines) - 1, 5)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab=.[]{},\"'\\# \n1-:T\t", max_size=60))
def test_a_text_that_tomli_accepts_is_scanned_whole(text: str) -> None:
    found = scan(text)
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    assert found.broken is None
    assert set(_paths(values)) <= set(found.locations)


def _paths(value: object, path: Path = ()) -> list[Path]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = [path] if path else []
    for step, child in items:
        found += _paths(child, (*path, step))
    return found


def _key(written: str) -> str:
    """The key that a text begins with."""
    if written[0] not in "\"'":
        return written[: next(at for at, letter in enumerate(written + " ") if letter in " .]=")]
    at = 1
    while written[at] != written[0]:
        at += 2 if written[at] == "\\" and written[0] == '"' else 1
    return written[: at + 1]
