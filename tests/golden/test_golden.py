"""What the shipped blueprints and their variants resolve to is what was committed and reviewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.spec.package_files import blueprint_files
from tools import golden

SHIPPED = sorted(path.relative_to(golden.BLUEPRINTS).with_suffix("").as_posix() for path in blueprint_files())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_blueprint_resolves_to_what_was_committed(name: str) -> None:
    committed = golden.GOLDEN / f"{name}.txt"
    today = golden.text(golden.BLUEPRINTS / f"{name}.toml")
    if not committed.exists() or committed.read_text(encoding="utf-8") != today:
        pytest.fail(f"{name} means something else than {committed}: run `make golden` and review what changed")


def test_every_committed_text_is_of_a_shipped_blueprint() -> None:
    committed = [path.relative_to(golden.GOLDEN).with_suffix("").as_posix() for path in golden.GOLDEN.rglob("*.txt")]
    assert sorted(committed) == SHIPPED


def test_the_text_shows_a_changed_default_and_every_variant(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    source = (golden.BLUEPRINTS / "quickstart.toml").read_text(encoding="utf-8")
    mine.write_text(f"{source}\n[variants.wide]\nnetworks.actor.trunk.width = 128\n", encoding="utf-8")
    before = golden.text(mine)
    _, variant = before.split("== variant wide\n")
    assert '-networks.actor.trunk.layers[0] = { kind = "linear", width = 64,' in variant
    assert "+actor trunk.0.weight [128, 5]" in variant
    assert "critic" not in variant, "only what differs is listed"
    mine.write_text(mine.read_text(encoding="utf-8").replace("n_step = 3", "n_step = 4"), encoding="utf-8")
    changed = set(golden.text(mine).splitlines()) ^ set(before.splitlines())
    assert changed == {"algorithm.n_step = 3", "algorithm.n_step = 4"}
