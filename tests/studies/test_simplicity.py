"""``composer simplicity``: every trunk of every blueprint, with intervals, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import TINY, last_json
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.simplicity import redshift
from composer.studies.simplicity.measures import Fourier, LempelZiv, Polynomial

MLP = '{ trunk = [{ kind = "linear", width = 8 }, { kind = "relu" }], head'


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    for measure in (Fourier, Polynomial, LempelZiv):
        monkeypatch.setattr(measure, "points", 20)


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


@pytest.mark.parametrize("measure", ["polynomial", "lempel_ziv"])
def test_other_measures_have_one_score_each_and_a_picture(measure: str, tmp_path: Path) -> None:
    plot = tmp_path / "scores.svg"
    output, said = invoke(str(TINY), "--measure", measure, "--initialisations", "3", "--plot", str(plot), "--json")
    table = last_json(output)
    (row,) = table["networks"]
    assert row["score"]["low"] < row["score"]["value"] < row["score"]["high"]
    assert "score_without_constant" not in row and table["measure"] == measure
    assert table["title"] in said and str(plot) in said
    drawn = plot.read_text()
    assert drawn.startswith("<?xml") and "date" not in drawn


def test_random_mlps_take_the_place_of_blueprints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(redshift, "POINTS", 12)
    for default, few in zip(("DEPTHS", "MAGNITUDES"), ((1, 3), (0.1, 30.0)), strict=True):
        monkeypatch.setattr(redshift, default, few)
    plot = tmp_path / "redshift.png"
    output, said = invoke("--redshift", "--initialisations", "3", "--plot", str(plot), "--json")
    rows = last_json(output)["random"]
    assert len(rows) == 8 * 2 * 2 and plot.read_bytes().startswith(b"\x89PNG")
    assert {row["activation"] for row in rows} == set(redshift.ACTIVATIONS)
    assert "tanh, 3 hidden: " in said and "at A = 30" in said
    # Large weights bend a tanh network many times, and the Gaussian one more; a ReLU network stays simple.
    deep = {
        row["activation"]: row["complexity"]["value"] for row in rows if (row["depth"], row["magnitude"]) == (3, 30)
    }
    assert deep["relu"] < deep["tanh"] < deep["gaussian"]


def test_blueprints_or_random_mlps_and_pictures_that_can_be_written() -> None:
    assert "not both" in invoke(code=2)[1]
    assert "not both" in invoke(str(TINY), "--redshift", code=2)[1]
    assert "a plot is written as" in invoke(str(TINY), "--plot", "scores.txt", code=2)[1]
