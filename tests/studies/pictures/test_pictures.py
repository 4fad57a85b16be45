"""Pictures of one run: drawn from its files while it trains, the same bytes from the same rows, at their step."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison_runs import write_run

from composer.studies.pictures.of_run import draw_progress
from composer.studies.pictures.process import main
from composer.studies.pictures.timeline import timeline
from composer.tracking.journal import Journal
from composer.tracking.media.files import png_step

RESETS = ["interventions.reset={ use = 'full_reset', interval = 100 }", "interventions.rest={ use = 'redo' }"]


def fire(run: Path, step: int, seeds: list[int]) -> None:
    with Journal.resume(run / "journal.jsonl", (run / "journal.jsonl").stat().st_size) as journal:
        for seed in seeds:
            journal.append({"type": "event", "env_step": step, "seed": seed, "name": "reset"})


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "media").iterdir())}


def test_a_run_has_its_networks_curve_and_timeline(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "sac", {0: [1, 2, 3], 4: [2, 3, 4]}, overrides=RESETS, status=None)
    assert main([str(run), "--first"]) == 0
    first = contents(run)
    assert set(first) == {"show.txt"} | {
        f"{name}.{suffix}" for name in ("architecture", "curve", "interventions") for suffix in ("png", "svg")
    }
    assert b"critic" in first["show.txt"] and b"not yet" in first["interventions.svg"]
    assert {png_step(first[f"{name}.png"]) for name in ("curve", "interventions")} == {300}
    fire(run, 300, [4])
    assert main([str(run)]) == 0
    second = contents(run)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"curve.png", "curve.svg", "interventions.png", "interventions.svg"}
    assert b"reset fires" in second["curve.svg"] and b"0 to 1 per seed" in second["interventions.svg"]
    draw_progress(run)
    assert contents(run) == second


def test_before_the_first_evaluation_only_the_blueprint_is_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "sac", {0: [], 1: []}, status=None)
    assert main([str(run), "--first"]) == 0
    assert set(contents(run)) == {"show.txt", "architecture.png", "architecture.svg"}


def test_an_unreadable_run_is_a_line_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "its pictures cannot be drawn" in line


def test_each_seed_has_its_own_ticks_from_the_first_on_top() -> None:
    fired = {"reset": {3: {100: 1, 200: 2}, 7: {150: 1}}, "rest": {}}
    (axes,) = timeline(fired, (3, 7), 1000).figure.axes
    first, second, *_ = axes.collections
    assert [list(map(float, first.get_positions())), list(map(float, second.get_positions()))] == [[100, 200], [150]]
    below = axes.transData.transform([(0, second.get_lineoffset())])[0][1]
    assert axes.transData.transform([(0, first.get_lineoffset())])[0][1] > below
    assert [text.get_text() for text in axes.texts] == ["1 to 3 per seed", "not yet"]
