"""The tutorials are true: their files are written, and every one of their commands runs, at a small size."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide_pages import ROOT
from typer.testing import CliRunner

from composer.cli import app

TUTORIALS = ROOT / "docs" / "tutorials"
QUICK = "compute.compile=never compute.threads=1 tracking.kind=none evaluation.episodes=1"
AGENT = f"training.env_steps=60 training.log_every=60 evaluation.every=60 checkpoint.every=60 {QUICK}"
TASKS = f"training.env_steps=200 environment.task_updates=20 evaluation.every=20 {QUICK}"
ROLLOUT = f"training.env_steps=1024 evaluation.every=1024 checkpoint.every=1024 {QUICK}"
SMALL = {
    "train reach": f"algorithm.warmup_interactions=10 {AGENT}",
    "train quickstart": f"algorithm.warmup_interactions=10 {AGENT}",
    "train rezero": f"algorithm.warmup_interactions=10 {AGENT}",
    "train plasticity": f"{TASKS} checkpoint.every=100",
    "sweep plasticity": f"{TASKS} checkpoint.every=200 seeds=[0,1]",
    "sweep ablated": f"{ROLLOUT} seeds=[0]",
    "ablate classic/cartpole_ppo --only": ROLLOUT,
}
"""What is added to a command, by its beginning, so that it takes a second."""
REPLACED = {
    "--at 12_500": "--at 100",
    "--variants base,l2_init,shrink_and_perturb,redo": "--variants base,l2_init",
    "--only algorithm.clip_ratio --only normalization.observation --seeds 5": "--seeds 2",
    "checkpoint.every=2_500": "",
    "study plan ladder.toml": "study plan ladder.toml --no-calibrate",
}
LADDER = """
[set]
"training.env_steps" = 60
"algorithm.warmup_interactions" = 10
"evaluation.every" = 20
"checkpoint.every" = 60
"evaluation.episodes" = 1
"tracking.kind" = "none"
"compute.compile" = "never"
"""
"""What makes the study a small one."""


def commands(text: str) -> Iterator[str]:
    """The commands of a page in order, without what it says that they print."""
    for fence in re.findall(r"^```console\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ (.*?)(?:  #.*)?$", fence, flags=re.MULTILINE)


def small(command: str) -> list[str]:
    """The words of a command, made small, with the run directories that its globs name."""
    for whole, part in REPLACED.items():
        command = command.replace(whole, part)
    added = next((more for start, more in SMALL.items() if command.startswith(f"composer {start}")), "")
    words = shlex.split(f"{command} {added}")[1:]
    return [found for word in words for found in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorial(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs every command of a researcher's day in order, each in the folder that the ones before it left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    for name, content in re.findall(r"^```\w+\n# ([\w./-]+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content + (LADDER if name == "ladder.toml" else ""), encoding="utf-8")
    ran = 0
    for command in commands(text):
        if command.startswith("export PYTHONPATH="):
            folder = str(tmp_path / command.partition("=")[2])
            monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
            monkeypatch.syspath_prepend(folder)
            continue
        done = CliRunner().invoke(app, small(command))
        assert done.exit_code == 0, f"$ {command}\n{done.output}"
        ran += 1
    assert ran >= 4
