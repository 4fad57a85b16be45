"""The repository of a run is the user's, with its commit and whether that is all; composer's own is beside it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tiny_runs import DRIFT, TINY
from typer.testing import CliRunner

from composer.cli import app
from composer.training.runs import repository as repositories
from composer.training.runs.repository import repository

SHORT = ("training.env_steps=8", "evaluation.every=8", "evaluation.episodes=1", "checkpoint.every=8")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a committed blueprint; the working directory is elsewhere, in no repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "mine.toml").write_text(TINY.read_text())
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


def trained(blueprint: str, runs: Path) -> dict[str, object]:
    result = CliRunner().invoke(app, ["train", blueprint, DRIFT, *SHORT, "--runs", str(runs)])
    assert result.exit_code == 0, result.output
    (path,) = runs.glob("*/run.json")
    facts: dict[str, object] = json.loads(path.read_text())
    return facts


def test_a_run_has_the_commit_of_its_blueprint(project: Path, tmp_path: Path) -> None:
    commit = git(project, "rev-parse", "HEAD")
    facts = trained(str(project / "mine.toml"), tmp_path / "runs")
    assert facts["repository"] == {"commit": commit, "dirty": False, "folder": str(project)}
    assert facts["git_commit"] == commit
    assert facts["composer_commit"] != commit


def test_a_shipped_blueprint_has_that_of_the_working_directory(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    commit = git(project, "rev-parse", "HEAD")
    shipped = repositories.blueprints_root() / "dmc" / "sac_mlp.toml"
    for written in (shipped, None):
        assert repository(written) == {"commit": commit, "dirty": False, "folder": str(project)}


def test_changes_and_untracked_blueprints_are_dirty(project: Path) -> None:
    blueprint = project / "mine.toml"
    (project / "runs").mkdir()
    (project / "runs" / "run.json").write_text("{}")  # Untracked files that are no part of the experiment.
    assert repository(blueprint)["dirty"] is False
    (project / "new.toml").write_text(TINY.read_text())
    assert repository(project / "new.toml")["dirty"] is True
    blueprint.write_text("# changed\n" + blueprint.read_text())
    assert repository(blueprint)["dirty"] is True
    assert repositories.shown(repository(blueprint)) == f"{git(project, 'rev-parse', 'HEAD')}-dirty"


def test_without_a_commit_the_reason_is_recorded(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert "not a git repository" in repository(nowhere / "x.toml")["why"]
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    assert repository(fresh / "x.toml") == {"commit": None, "dirty": None, "why": f"{fresh} has no commits yet"}
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "-q", "--bare", str(project), str(bare))
    assert "without a work tree" in repository(bare / "x.toml")["why"]
    with monkeypatch.context() as other_owner:
        other_owner.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        assert "dubious ownership" in repository(project / "mine.toml")["why"]
    with monkeypatch.context() as no_git:
        no_git.setenv("PATH", str(nowhere))
        assert repository(project / "mine.toml")["why"].startswith("git cannot be run: No such file")
    assert repositories.shown(repository(nowhere / "x.toml")) is None


def test_a_slow_git_is_not_waited_for(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    monkeypatch.setattr(repositories, "SECONDS", 0.05)
    assert "git did not answer within 0.05 s" in repository(project / "mine.toml")["why"]


def test_variables_of_a_git_hook_do_not_lead_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(project, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    assert repository(project / "mine.toml")["commit"] == commit


def test_reading_executes_nothing_of_the_repository(project: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    git(project, "config", "core.fsmonitor", f"touch {mark}; false")
    repository(project / "mine.toml")
    assert not mark.exists()
