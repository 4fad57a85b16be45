"""The gallery has every shipped blueprint, as it is now, with its pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from guide_pages import ROOT

from composer.blueprint.syntax.extends import shipped
from tools.gallery import GALLERY, diagrams, pages, stem


def test_the_pages_are_what_the_blueprints_say_now() -> None:
    for name, text in pages().items():
        assert (GALLERY / name).read_text(encoding="utf-8") == text, "python -m tools.gallery writes it anew"


def test_every_blueprint_is_there_once_with_its_pictures() -> None:
    text = "".join(pages().values())
    assert sorted(re.findall(r"^## (.*)$", text, re.MULTILINE)) == sorted(shipped())
    pictures = re.findall(r"!\[.*\]\((.*)\)", text)
    assert sorted(pictures) == sorted(set(pictures))
    assert {f"{stem(name)}-networks.svg" for name in shipped()} <= set(pictures)
    there = {path.name for path in GALLERY.iterdir() if path.suffix not in (".md", ".json")}
    assert there == set(pictures)


def test_curves_and_films_are_of_named_runs(tmp_path: Path) -> None:
    # Without a record of runs a page shows neither.
    assert "-curve.svg" not in "".join(pages(tmp_path).values())
    (tmp_path / "runs.json").write_text('{"quickstart": {"command": "composer train x", "result": "return 3"}}')
    text = pages(tmp_path)["README.md"]
    assert "quickstart-curve.svg" in text
    assert "-film.webp" not in text
    (tmp_path / "quickstart-film.webp").touch()
    text = pages(tmp_path)["README.md"]
    assert "(quickstart-film.webp)" in text
    assert "*return 3: `composer train x`.*" in text


@pytest.mark.slow
def test_every_blueprint_is_drawn(tmp_path: Path) -> None:
    """Draws some thirty figures: ten seconds."""
    diagrams(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{stem(name)}-networks.svg" for name in shipped()}
    root = ROOT / "docs" / "gallery"
    assert all((root / path.name).is_file() for path in tmp_path.iterdir())
