"""Parts as the command shows them: listed, sized on an input that is said, with an example that works."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from composer.blueprint import BlueprintError
from composer.blueprint.checks.part_file import families
from composer.blueprint.inspect.parts_list import (
    VECTOR,
    UnknownPartError,
    example,
    parts_json,
    parts_text,
    try_out,
)
from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts import part_of, parts
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.read import read_tree
from composer.networks.blocks import Block
from composer.networks.heads import Head

BODY = 'part = 1\nfamily = "block"\ndescription = "d"\nsource = "s"\n{}\n[block]\nkind = "relu"\n'


def test_parts_are_listed_and_shown() -> None:
    assert [line.split()[0] for line in parts_text().split("\n")] == list(parts())
    assert [table["name"] for table in parts_json()["parts"]] == list(parts())
    text = parts_text("simba").split("\n")
    assert "  expansion = 4" in text
    assert 'use: trunk = { use = "simba", width = 512, blocks = 2, expansion = 4 }' in text
    (simba,) = parts_json("simba")["parts"]
    assert simba["parameters"]["expansion"] == 4
    h = 512
    counted = 24 * h + h + 2 * (2 * h + 2 * 4 * h * h + 4 * h + h) + 2 * h
    assert simba["size"]["parameters"] == counted
    assert (simba["size"]["input_shape"], simba["size"]["output_shape"]) == ([24], [512])
    assert f"size: {counted:,} parameters" in "\n".join(text)
    with pytest.raises(UnknownPartError, match="no part named 'simbo'; did you mean 'simba'"):
        parts_text("simbo")


@pytest.mark.parametrize("name", sorted(parts()))
def test_every_part_has_a_size_and_an_example_that_works(name: str) -> None:
    part = parts()[name]
    trial = try_out(part)
    table = tomllib.loads(example(part, trial))
    expanded, problems = expand(annotate(table, {}, "example"))
    assert problems == {}
    assert plain(expanded) != table
    ((key, value),) = plain(expanded).items()
    if key in ("interventions", "penalties"):
        assert [*value] == [name] and trial is None
        TypeAdapter[Any](families()[part.family]).validate_python(value[name])
        return
    assert trial is not None, "it says the shape that it was made for: input = [...]"
    spec = TypeAdapter[Any]({"trunk": Block, "head": Head}[key]).validate_python(value)
    if key == "trunk":
        assert spec.outline(part.input or VECTOR).output == trial.outline.output


def test_a_block_of_one_width_is_shown_behind_a_layer_that_gives_it() -> None:
    trial = try_out(parts()["simba_block"])
    assert trial is not None
    assert trial.outline.input == (512,) != VECTOR
    assert example(parts()["simba_block"], trial).startswith('trunk = [{ kind = "linear", width = 512 }, { use =')


def test_a_part_may_say_its_input(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(BODY.format("input = [3, 8, 8]"))
    part = part_of(read_tree(path, "p.toml"), path.stem, "p.toml")
    assert part.input == (3, 8, 8)
    path.write_text(BODY.format(""))
    assert part_of(read_tree(path, "p.toml"), path.stem, "p.toml").input is None
    for wrong in ("[]", "[0]", "[3, true]", "[1.0]", '"x"', "{ a = 1 }"):
        path.write_text(BODY.format(f"input = {wrong}"))
        with pytest.raises(BlueprintError, match=r"p\.toml:5:9: input: expected a shape such as \[3, 32, 32\]"):
            part_of(read_tree(path, "p.toml"), path.stem, "p.toml")
