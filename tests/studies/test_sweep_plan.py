"""Plans: how many programs a study compiles, and what is finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from composer.blueprint import load
from composer.blueprint.forecast.program_key import program_key
from composer.blueprint.syntax.extends import shipped
from composer.cli import app
from composer.training.compile import cache as caching

VARIANTS = """
[variants.fast]
optimizers.critic.learning_rate = 3e-3

[variants.slow]
averages.target_critic.momentum = 0.5
algorithm.discount = 0.9

[variants.wide]
networks.critic.trunk.width = 32
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(caching.CACHE, str(tmp_path / "cache"))
    file = tmp_path / "study.toml"
    text = (Path(__file__).parents[1] / "tiny.toml").read_text()
    file.write_text(text.replace('compile = "never"', 'compile = "always"') + VARIANTS)
    return file


def answer(*words: object) -> dict[str, object]:
    found = CliRunner().invoke(app, ["plan", *map(str, words), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    table: dict[str, object] = json.loads(found.stdout)
    return table


def test_variants_that_differ_in_numbers_share_a_program(study: Path, tmp_path: Path) -> None:
    table = answer(study, "--runs", tmp_path)
    rows = {row["variant"]: row for row in table["variants"]}  # type: ignore[index, attr-defined]
    assert rows["base"]["program"] == rows["fast"]["program"] == rows["slow"]["program"] != rows["wide"]["program"]
    assert (table["to_train"], table["programs"], table["compilations"]) == (4, 2, 2)
    folder = caching.cache_directory(program_key(load(study).blueprint, "cpu"))
    folder.mkdir(parents=True)
    (folder / "code").touch()
    assert answer(study, "--runs", tmp_path)["compilations"] == 1
    shown = CliRunner().invoke(app, ["plan", str(study), "--runs", str(tmp_path)]).stdout
    assert "4 runs to train; 1 compilation, 1 in the cache" in shown


def test_variants_that_are_trained_together_are_one_program_of_all_their_seeds(study: Path, tmp_path: Path) -> None:
    table = answer(study, "--runs", tmp_path, "--together", 8)
    assert (table["to_train"], table["processes"], table["programs"], table["compilations"]) == (4, 2, 2, 2)
    pairs = answer(study, "--runs", tmp_path, "--together", 2)
    assert (pairs["to_train"], pairs["processes"], pairs["programs"]) == (4, 3, 3)
    shown = CliRunner().invoke(app, ["plan", str(study), "--runs", str(tmp_path), "--together", "8"]).stdout
    assert "4 runs in 2 processes to train; 2 compilations" in shown


def test_an_eager_study_compiles_nothing(study: Path, tmp_path: Path) -> None:
    table = answer(study, "compute.compile=never", "--variants", "base,wide", "--runs", tmp_path)
    assert (table["to_train"], table["programs"], table["compilations"]) == (2, 0, 0)


def test_what_another_process_compiles_is_said_and_counted(study: Path, tmp_path: Path) -> None:
    changes = ("compute.compile=auto", "compute.reproducible=false", "training.env_steps=200_000")
    words = (study, *changes, "--runs", tmp_path)
    assert answer(*words)["compilations"] == 2
    shown = CliRunner().invoke(app, ["plan", *map(str, words)]).stdout
    assert shown.count("  eager, then compiled in the background") == 4
    assert all(not row["in_background"] for row in answer(*words, "--together", 3)["variants"][:3])  # type: ignore[index]


def test_shipped_studies_can_be_planned() -> None:
    table = answer(shipped()["plasticity/shuffled_labels"])
    assert len(table["variants"]) > 20 and table["compilations"] < table["to_train"]  # type: ignore[arg-type]
