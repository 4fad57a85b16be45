"""The guides without files of their own are true too: a first variant, diagnostics, forks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from guide_pages import GUIDES, fences
from typer.testing import CliRunner

import composer
from composer.blueprint.load import report
from composer.cli import app


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout


def tables(name: str) -> list[str]:
    return [fence.text for fence in fences(name) if fence.language == "toml"]


def test_first_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, the blocks in place of the part, the variants alone and combined, and the commands that read."""
    monkeypatch.chdir(tmp_path)
    whole, blocks, variants = tables("first-variant.md")
    path = Path("post_norm.toml")
    path.write_text(whole + variants)
    assert report(path).problems == report(path).warnings == []
    for fence in fences("first-variant.md"):
        lines = re.findall(r"^\$ composer ((?:check|diff|show) .*?)(?:  #.*)?$", fence.text, flags=re.MULTILINE)
        for line in lines if "widht" not in fence.text else ():
            assert line.startswith("check") or run(*line.split())
    assert composer.load(path, variant="wide+clipped").networks["critic"].copies == 2
    path.write_text(whole.replace("width = 64", "widht = 64", 1))
    (shown,) = [fence.text for fence in fences("first-variant.md") if "widht" in fence.text]
    said = run("check", "post_norm.toml", code=2)
    assert said.split(":", 3)[3] == shown.partition("\n")[2].split(":", 3)[3]
    path.write_text(whole.split("[networks]")[0] + blocks)
    kinds = [block.kind for block in composer.load(path).networks["critic"].trunk.layers]  # type: ignore[attr-defined]
    assert kinds == ["linear", "residual", "layer_norm"]


def test_diagnostics(tmp_path: Path) -> None:
    """The table of measures is sound, the metric of its example exists, and the kinds that the page names do."""
    from composer.diagnostics.base import Diagnostic

    (table,) = tables("diagnostics.md")
    path = tmp_path / "measured.toml"
    path.write_text(f'blueprint = 1\nextends = "quickstart"\ntraining.env_steps = 200_000\n{table}')
    assert report(path).problems == report(path).warnings == []
    text = (GUIDES / "diagnostics.md").read_text(encoding="utf-8")
    (metric,) = re.findall(r'metric = "([^"]+)"', text)
    assert metric in run("metrics", str(path))
    assert all(f"`{kind}`" in text for kind in Diagnostic.kinds() if "/" not in kind)


def test_forks_change_what_the_page_changes(tmp_path: Path) -> None:
    """The overrides of the page's fork are sound on its blueprint."""
    text = next(fence.text for fence in fences("fork-and-doctor.md") if "composer fork" in fence.text)
    first, fork = re.findall(r"^\$ composer (.*(?:\n {6}.*)?)$", text, flags=re.MULTILINE)
    reset = re.findall(r'"(interventions\.reset=.*)"', fork)[0]
    changed = composer.load(first.split()[1], [*first.split()[2:], reset])
    assert changed.interventions["reset"].do.resets_weights
    assert int(fork.split("--at ")[1].split()[0]) % changed.checkpoint.every == 0
