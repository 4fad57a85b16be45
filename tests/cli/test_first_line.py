"""What a command says and needs before the heavy libraries are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from composer.blueprint.checks import check
from composer.cli import app

HEAVY = ("torch", "mujoco", "mlflow", "pandas", "scipy", "sympy", "matplotlib", "PIL")
ARRAYS = ("numpy", "gymnasium")
"""Gymnasium's registry alone tells whether an id is its own: reading such a blueprint imports it, and NumPy with it."""
UNTIL_HEAVY = """
import os, sys
from importlib.abc import MetaPathFinder

class Barrier(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in BARRED:
            print("imports", name, file=sys.stderr, flush=True)
            os._exit(99)

sys.meta_path.insert(0, Barrier())
from composer.cli import main
main()
"""


def until_heavy(*arguments: str, folder: Path, barred: tuple[str, ...] = HEAVY + ARRAYS) -> tuple[int, list[str]]:
    """A command that ends at the first import of a ``barred`` library: exit code and the lines on standard error."""
    command = [sys.executable, "-c", f"BARRED = {barred}\n{UNTIL_HEAVY}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, done.stderr.splitlines()


def test_train_says_what_it_reads_and_what_it_starts_before_torch_is_imported(tmp_path: Path) -> None:
    code, lines = until_heavy("train", "quickstart", "seeds=[3]", folder=tmp_path)
    assert code == 99 and lines[0] == "reading quickstart" and lines[2:] == ["importing torch", "imports torch"]
    assert lines[1].startswith("quickstart: sac on cartpole-swingup") and lines[1].endswith("seed 3")


@pytest.mark.slow
def test_list_imports_no_heavy_library(tmp_path: Path) -> None:
    """Alone reads every blueprint that ships and sees that no heavy library is imported for it."""
    assert until_heavy("list", folder=tmp_path, barred=HEAVY) == (0, [])


def test_checking_imports_no_heavy_library(tmp_path: Path) -> None:
    assert until_heavy("check", "quickstart", folder=tmp_path) == (0, ["1 blueprint in order"])


def test_train_checks_its_blueprint_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that follows takes the checked blueprint as it is."""
    checked: list[str] = []
    whole = check.validate

    def count(*arguments: object) -> object:
        checked.append("once")
        return whole(*arguments)

    monkeypatch.setattr(check, "validate", count)
    monkeypatch.chdir(tmp_path)
    tiny = str(Path(__file__).parent.parent / "tiny.toml")
    changes = ["training.env_steps=40", "algorithm.warmup_interactions=4", "evaluation.episodes=1"]
    result = CliRunner().invoke(app, ["train", tiny, *changes])
    assert result.exit_code == 0, result.output
    assert checked == ["once"]
