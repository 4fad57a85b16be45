"""The measurements of growth at toy size: every axis loads, rows have their columns, a figure is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.growth import __main__, long_run, readings, updates
from composer.blueprint import digest
from composer.diagnostics.base import Diagnostic


@pytest.mark.parametrize("axis", updates.AXES)
def test_every_place_of_an_axis_is_a_blueprint(axis: str) -> None:
    """Alone loads the blueprints of the growth benchmark, and sees that they differ along their axis alone."""
    places = [digest(updates.declared(overrides)) for overrides in updates.AXES[axis].values()]
    assert len({*places}) == len(places)


def test_the_figure_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"ms": 2.0, "lowest": 1.5, "highest": 2.5}
    rows = [{"axis": "interventions", "place": place, **row} for place in (0, 4)]
    monkeypatch.setitem(__main__.PARTS, "interventions", lambda: rows)
    out = tmp_path / "growth.json"
    out.write_text(json.dumps({"runs": [{"steps": 1}]}))
    __main__.main(["interventions", "--out", str(out), "--plot", str(tmp_path / "growth.svg")])
    assert json.loads(out.read_text()) == {"runs": [{"steps": 1}], "interventions": rows}
    assert (tmp_path / "growth.svg").read_text().count("<svg") == 1


def test_every_diagnostic_is_measured_or_needs_another_network() -> None:
    kinds = {each.kind for each in readings.applicable(updates.declared(()))}
    assert kinds <= Diagnostic.kinds().keys() and {"trainability", "curvature", "dormant"} <= kinds


@pytest.mark.slow
def test_a_simulated_run_resumes_and_grows_with_its_rows(tmp_path: Path) -> None:
    """Alone writes and resumes simulated long runs: journals grow with the steps, checkpoints do not."""
    short, long = (long_run.measure(steps, sends=False) for steps in (20_000, 80_000))
    assert (short["rows"], long["rows"]) == (20, 81)
    assert 3.5 < long["journal.jsonl"] / short["journal.jsonl"] < 4.5
    assert long["checkpoints"] == pytest.approx(short["checkpoints"], rel=0.01)
