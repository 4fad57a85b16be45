"""``composer simplicity``: every trunk of every blueprint, with intervals, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import TINY, last_json
from typer.testing import CliRunner

from composer.cli import app
from composer.studies import simplicity

MLP = '{ trunk = [{ kind = "linear", width = 8 }, { kind = "relu" }], head'


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplicity, "POINTS", 20)


def invoke(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["simplicity", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result.stdout, result.stderr


def other(folder: Path, old: str, new: str) -> str:
    """The tiny experiment with another text in one place."""
    text = TINY.read_text()
    assert text.count(old) == 1
    file = folder / "other.toml"
    file.write_text(text.replace(old, new).replace('name = "tiny"', 'name = "other"'))
    return str(file)


def test_networks_are_compared_with_the_first(tmp_path: Path) -> None:
    file = other(tmp_path, 'critic = { trunk = { use = "simba", width = 16, blocks = 1 }, head', f"critic = {MLP}")
    output, said = invoke(str(TINY), file, "--initialisations", "5", "--json")
    table = last_json(output)
    assert len(output.splitlines()) == 1
    assert (table["initialisations"], table["grid"]["points"], table["level"]) == (5, 20, 0.95)
    # The two networks of the first have the same trunk, which is measured once.
    rows = [(row["blueprint"], row["networks"], row["normalization"]) for row in table["networks"]]
    assert rows == [
        ("tiny", ["actor", "critic"], "rs_norm"),
        ("other", ["actor"], "rs_norm"),
        ("other", ["critic"], "rs_norm"),
    ]
    first, same, apart = table["networks"]
    assert first["score"] == same["score"] != apart["score"]
    for row in table["networks"]:
        for name in ("score", "score_without_constant", "difference_to_first"):
            assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]
        assert row["score"]["value"] > row["score_without_constant"]["value"] > 0
    assert apart["difference_to_first"]["value"] == pytest.approx(apart["score"]["value"] - first["score"]["value"])
    assert "other critic (rs_norm): 0." in said and said.count("minus the first") == 2


def test_one_initialisation_has_no_interval() -> None:
    output, said = invoke(str(TINY), "--initialisations", "1", "--json")
    (row,) = last_json(output)["networks"]
    assert (row["score"]["low"], row["score"]["high"]) == (None, None)
    assert "[0" not in said


def test_a_trunk_that_takes_no_two_numbers_is_refused(tmp_path: Path) -> None:
    tokens = 'actor = { trunk = [{ kind = "split_tokens", count = 5 }, { kind = "flatten" }], head'
    file = other(tmp_path, 'actor = { trunk = { use = "simba", width = 16, blocks = 1 }, head', tokens)
    _, said = invoke(file, "--initialisations", "1", code=2)
    assert "other: networks.actor on two inputs:" in said
