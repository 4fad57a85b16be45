"""What files say of themselves: every shipped blueprint and study has a purpose and a source, in one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.blueprint import load, loads_resolved
from composer.blueprint.inspect.purpose import Purpose, leading_comment, purpose, purpose_of
from composer.blueprint.syntax.extends import shipped
from composer.studies.study.load import shipped_studies

SHIPPED = {**shipped(), **shipped_studies()}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_has_a_purpose_and_a_source_that_fit_a_line(name: str) -> None:
    found = purpose_of(SHIPPED[name])
    assert 15 <= len(found.purpose) <= 120 and found.purpose.endswith("."), found.purpose
    assert 10 <= len(found.source) <= 190, found.source
    assert "arXiv:" in found.source or "chosen here" in found.source or "/" in found.source


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Purpose()),
        ("name = 1", Purpose()),
        ("# One. Two.\n", Purpose("One.")),
        (
            "# What is it? Source: arXiv:1706.03762, table 1. More.\n",
            Purpose("What is it?", "arXiv:1706.03762, table 1"),
        ),
        ("# A.\n# Source, unless a line says otherwise: the\n#  code. B.\n", Purpose("A.", "the code")),
        ("# A.\n# Source of the method: arXiv:1. It is new.\n", Purpose("A.", "arXiv:1")),
        ("# A.\n#\n# Source: too late.\n", Purpose("A.")),
        ("# A.\n\n# Source: too late.\n", Purpose("A.")),
        ("# A.\ndescription = 'B, e.g. c. D.'\n", Purpose("B, e.g. c.")),
        ("# A.\ndescription = ''\n", Purpose("A.")),
        ("# A.\nbroken", Purpose("A.")),
    ],
)
def test_the_purpose_is_the_description_or_the_first_sentence_of_the_comment(
    text: str, found: Purpose, tmp_path: Path
) -> None:
    (tmp_path / "b.toml").write_text(text, encoding="utf-8")
    assert purpose_of(tmp_path / "b.toml") == found


def test_a_child_has_the_source_of_its_nearest_parent_but_not_its_description(tmp_path: Path) -> None:
    for name, text in {
        "top": "# Source: arXiv:1.\ndescription = 'Top.'",
        "middle": "extends = 'top.toml'",
        "low": "extends = 'middle.toml'",
        "own": "# Source: arXiv:2.\nextends = 'middle.toml'",
        "circle": "extends = 'circle.toml'",
        "lost": "extends = 'nowhere.toml'",
        "named": "extends = 'dmc/sac_simba'",
    }.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")

    def of(name: str) -> Purpose:
        return purpose_of(tmp_path / f"{name}.toml")

    assert (of("low"), of("own")) == (Purpose("", "arXiv:1"), Purpose("", "arXiv:2"))
    assert of("circle") == of("lost") == Purpose()
    assert of("named").source.startswith("arXiv:2410.09754 and its published code")


def test_a_loaded_blueprint_tells_both_and_one_without_a_file_its_description() -> None:
    loaded = load(SHIPPED["quickstart"], is_to_run=False)
    assert purpose(loaded.blueprint) == purpose_of(SHIPPED["quickstart"])
    plain = loads_resolved({**loaded.resolved, "description": "One. Two."})
    assert purpose(plain) == Purpose("One.")
    assert leading_comment("#  a\n# b\nc = 1\n# d") == "a b"
