"""Without ``--metric`` the evaluation's is read; a metric that no run writes is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from composer.cli import app

STUDY = """study = 1
blueprint = "warm_start/digits"
seeds = 3
[axis]
width = [16, 32, 64]
[set]
"networks.model.trunk.width" = "${axis.width}"
"""


def asked(*words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_discover_reads_the_evaluation_s_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(STUDY)
    code, table = asked("discover", "s.toml")
    assert (code, table["metric"]) == (0, "evaluation/accuracy")
    code, table = asked("discover", "s.toml", "--metric", "evaluation/retrn")
    assert code == 2 and "did you mean 'evaluation/accuracy'?" in table["message"]


def test_scale_asks_for_the_evaluation_s_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the size that it is to hold out only after it has found the metric."""
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(STUDY)
    assert "evaluation/accuracy" in asked("scale", "s.toml", "--metric", "evaluation/retrn")[1]["message"]
    code, table = asked("scale", "s.toml", "--hold-out", "128")
    assert code == 2 and "128" in table["message"] and "metric" not in table["message"]
