"""Every part of the registry is sound by itself, and every key and value of its file is guarded.

``composer check`` checks a part with its parameters at their defaults and reports a spoilt one at its own line; a
blueprint that uses it reports it at the place of use, with that line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mutations import (
    Mutation,
    answers,
    deleted,
    doubled,
    fewer_wrong_values,
    first_of_each_place,
    misspellings,
    unguarded,
)

from composer.blueprint import check
from composer.blueprint.syntax import parts as parts_module
from composer.blueprint.syntax import requires as required_module
from composer.blueprint.syntax.nodes import plain
from composer.blueprint.syntax.parts import TABLES, part_of
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.read import parse_tree, read_tree
from composer.spec.package_files import blueprints_root, registry_root

FILES = [path for path in sorted(registry_root().rglob("*.toml")) if path.parent.name not in TABLES]
each_part = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

# Without its 'use' a table has keys of no kind; which of 'kind' and 'use' it lacks cannot be known.
HEADER = {
    "part": "part = 1",
    "family": "'family'",
    "description": "'description'",
    "source": "'source'",
    "use": "'kind'",
}
"""What must be said where one of these is left out."""

PART = """\
part = 1
family = "block"
description = "A layer for a picture."
source = "none"
input = [3, 8, 8]

[parameters]
width = 4
kernel = 3

[block]
kind = "sequence"
layers = [
    { kind = "conv", width = "${width}", kernel = "${kernel}" },
    { use = "mlp", width = "${width}" },
]
"""


@each_part
def test_a_part_is_sound_by_itself(path: Path) -> None:
    assert check(path) == []


@pytest.mark.slow
@each_part
@pytest.mark.parametrize(
    "mutations", [misspellings, fewer_wrong_values, doubled], ids=lambda function: function.__name__
)
def test_every_key_and_value_of_a_part_is_guarded(
    path: Path, mutations: Callable[[str], Iterator[Mutation]], tmp_path: Path
) -> None:
    """Alone spoils every key and value of every part, each place in the first part that has it."""
    text = path.read_text(encoding="utf-8")
    assert unguarded(first_of_each_place(tuple(FILES), mutations)[path], text, tmp_path) == []


@each_part
def test_what_a_part_needs_cannot_be_left_out(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tried = list(deleted(text))
    found = answers((mutation.applied(text) for _, mutation in tried), tmp_path)
    for (steps, mutation), problems in zip(tried, found, strict=True):
        is_needed = (
            (steps[0] == "parameters" and len(steps) == 2)
            or steps[-1] in HEADER
            or (steps[-1] == "kind" and len(steps) > 2)
        )
        said = HEADER.get(str(steps[-1]), f"'{steps[-1]}'")
        assert not is_needed or any(said in problem["message"] for problem in problems), (mutation, problems)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('family = "block"', 'family = "blok"', "2:10: family: no family named 'blok'; did you mean 'block'?"),
        ("[block]", "[head]", "2:10: family: the body, a table or a list named 'block', is absent"),
        ("width = 4", "widht = 4", "8:1: parameters.widht: nothing refers to this parameter; did you mean 'width'?"),
        ('"${kernel}"', '"${kernl}"', "14:51: block.layers[0].kernel: part 'p' has no parameter 'kernl'; did"),
        ('"${kernel}"', '"${block}"', "14:51: block.layers[0].kernel: part 'p' has no parameter 'block'; its"),
        ('"${kernel}"', '"k${kernel}"', "14:51: block.layers[0].kernel: ${...} stands for a whole value, as in ${"),
        ("width = 4", "width = 0", "8:9: block.layers[0].width: must be in 1 to 65,536, got 0 (through ${width}"),
        ("kernel = 3", "kernel = 9", "9:10: block.layers[0].kernel: a kernel of 9 x 9 does not fit into an"),
        ('use = "mlp"', 'use = "p"', "15:13: block.layers[1].use: no part named 'p'"),
        ('use = "mlp", width', 'use = "mlp", widht', "15:20: block.layers[1].widht: part 'mlp' has no parameter"),
        ("input = [3, 8, 8]", "input = [3, 8, 0]", "5:9: input: expected a shape such as [3, 32, 32]"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_spoilt_part(
    old: str, new: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert PART.count(old) == 1
    Path("p.toml").write_text(PART)
    assert check("p.toml") == []
    Path("p.toml").write_text(PART.replace(old, new))
    reported = [str(problem) for problem in check("p.toml")]
    assert any(line.startswith(f"p.toml:{expected}") for line in reported), reported


def test_an_argument_may_use_the_same_part_again(tmp_path: Path) -> None:
    text = """
part = 1
family = "block"
description = ""
source = ""
[parameters]
of = { kind = "relu" }
[block]
kind = "residual"
block = "${of}"
"""
    (tmp_path / "wrap.toml").write_text(text)
    known = {"wrap": part_of(read_tree(tmp_path / "wrap.toml", "wrap.toml"), "wrap", "wrap.toml")}
    tree = parse_tree(b'x = { use = "wrap", of = { use = "wrap", of = { use = "wrap" } } }', "t")
    expanded, problems = expand(tree, known)
    assert problems == {}
    residual = {"kind": "residual", "block": {"kind": "relu"}}
    assert plain(expanded)["x"] == {"kind": "residual", "block": {"kind": "residual", "block": residual}}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the registry, which stands for the one that ships."""
    folder = shutil.copytree(registry_root(), tmp_path / "registry")
    for module in (parts_module, required_module):
        monkeypatch.setattr(module, "registry_root", lambda: folder)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("part = 1", "part = 2", "a part begins with part = 1, its format"),
        ("[parameters]", "[paramters]", "unknown key; did you mean 'parameters'?"),
        ("part = 1", "part =", "not TOML"),
        ('kind = "layer_norm"', 'kind = "layernrom"', "no block named 'layernrom'"),
        ("expansion = 4", 'expansion = "4"', 'expected integer, got string "4"'),
    ],
)
def test_a_spoilt_part_is_reported_where_a_blueprint_uses_it(old: str, new: str, said: str, registry: Path) -> None:
    file = registry / "networks" / "simba.toml"
    text = file.read_text()
    at = text[: text.index(old)].count("\n") + 1
    file.write_text(text.replace(old, new))
    reported = [str(problem) for problem in check(blueprints_root() / "quickstart.toml")]
    assert any(f"registry/networks/simba.toml:{at}:" in line and said in line for line in reported), reported
