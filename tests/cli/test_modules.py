"""Commands that read a blueprint execute nothing of it; those that run it execute what the user allows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from typer.testing import CliRunner

from composer.cli import app
from composer.spec import allowed_modules

TINY = (Path(__file__).parent.parent / "tiny_dqn.toml").read_text()
ENVIRONMENT = 'environment = {{ kind = "gymnasium", module = "{module}", id = "stranger/Drill-v0" }}'
CODE = """
import builtins, gymnasium
builtins.composer_test_ran = True
from registered_environments import Painted
gymnasium.register("stranger/Drill-v0", entry_point=Painted, max_episode_steps=5)
"""
READING = [
    ("check", "b.toml"),
    ("show", "b.toml"),
    ("lint", "b.toml"),
    ("plan", "b.toml"),
    ("explain", "b.toml", "environment.module"),
    ("diff", "b.toml", "b.toml", "seeds=[7]"),
    ("metrics", "b.toml"),
    ("eject", "b.toml"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A blueprint and a module beside it, in the working directory, which is on the path as in a notebook."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "environments"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv(allowed_modules.VARIABLE, raising=False)
    monkeypatch.setattr(allowed_modules, "_imported", set())
    (tmp_path / "drill_of_a_stranger.py").write_text(CODE)
    declare(tmp_path, "drill_of_a_stranger")
    yield tmp_path
    gymnasium.registry.pop("stranger/Drill-v0", None)
    sys.modules.pop("drill_of_a_stranger", None)
    sys.modules["builtins"].__dict__.pop("composer_test_ran", None)


def declare(folder: Path, module: str) -> None:
    text = TINY.replace('environment = { kind = "test/choice" }', ENVIRONMENT.format(module=module))
    flat = 'trunk = [{ kind = "flatten" }, { kind = "linear", width = 16 },'
    (folder / "b.toml").write_text(text.replace('trunk = [{ kind = "linear", width = 16 },', flat))


def ran() -> bool:
    return hasattr(sys.modules["builtins"], "composer_test_ran")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_reading_a_blueprint_executes_nothing(folder: Path, arguments: tuple[str, ...], allowed: bool) -> None:
    """Not even what the user has allowed for training."""
    if allowed:
        allowed_modules.allow(["drill_of_a_stranger"])
    code, said = run(*arguments)
    assert not ran() and "drill_of_a_stranger" not in sys.modules
    if arguments[0] == "check":
        assert (code, "is not imported unasked" in said) == ((0, False) if allowed else (2, True))
    elif arguments[0] in ("show", "plan", "eject", "metrics"):
        assert code == 2 and "not known until training" in said
    else:
        assert code == 0, said


def test_check_says_what_it_leaves_to_training_and_finds_the_rest(folder: Path) -> None:
    allowed_modules.allow(["drill_of_a_stranger"])
    assert "stranger/Drill-v0 is not built to check: shapes, memory and" in run("check", "b.toml")[1]
    assert '"not_known_until_training": ["stranger/Drill-v0"]' in run("check", "b.toml", "--json")[1]
    code, said = run("check", "b.toml", "replay.capacity=3")
    assert code == 2 and "exceeds the replay's 3 transitions" in said


def test_training_executes_what_is_allowed_by_name_alone(folder: Path) -> None:
    short = ("training.env_steps=40", "evaluation.every=40", "--runs", str(folder / "runs"))
    code, said = run("train", "b.toml", *short)
    assert code == 2 and "b.toml:5:" in said and "environment.module: module 'drill_of_a_stranger' is not" in said
    assert not ran() and not (folder / "runs").exists()
    code, said = run("train", "b.toml", *short, "--allow-module", "drill_of_a_stranger")
    assert code == 0, said
    assert ran()


@pytest.mark.slow
def test_a_run_is_read_without_its_module_and_goes_on_with_the_users_word(folder: Path) -> None:
    """Alone reads a run, in processes of their own, whose module only its training may import."""
    runs = ("--runs", str(folder / "runs"), "--allow-module", "drill_of_a_stranger")
    code, said = run("train", "b.toml", "training.env_steps=40", "evaluation.every=40", *runs)
    assert code == 0, said
    (trained,) = (folder / "runs").iterdir()
    program = "import sys; sys.path.insert(0, ''); from composer.cli import main; main()"
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    path.pop(allowed_modules.VARIABLE, None)
    for command, code in (("digest", 0), ("verify", 0), ("compare", 0), ("evaluate", 2), ("resume", 2)):
        arguments = [sys.executable, "-c", program, command, str(trained)]
        done = subprocess.run(arguments, cwd=folder, env=path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and ("is not imported unasked" in done.stderr) == (code == 2)


def test_training_checks_what_reading_could_not(folder: Path) -> None:
    text = (folder / "b.toml").read_text()
    (folder / "b.toml").write_text(text.replace('{ kind = "flatten" },', '{ kind = "conv", width = 2, kernel = 99 },'))
    allow = ("--allow-module", "drill_of_a_stranger", "--runs", str(folder / "runs"))
    allowed_modules.allow(["drill_of_a_stranger"])
    assert run("check", "b.toml")[0] == 0
    code, said = run("train", "b.toml", *allow)
    assert code == 2 and "networks.value.trunk" in said
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('no libGL')", "RuntimeError: no libGL"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_whatever_a_module_does_is_told_at_its_line(folder: Path, text: str, said: str) -> None:
    import signal

    from composer.spec.calls import tell_ctrl_c_apart

    before = signal.getsignal(signal.SIGINT)
    tell_ctrl_c_apart()
    (folder / "drill_of_a_stranger.py").write_text(text)
    code, told = run("train", "b.toml", "--allow-module", "drill_of_a_stranger", "--json")
    signal.signal(signal.SIGINT, before)
    assert code == 2 and f"environment.module: module 'drill_of_a_stranger' cannot be imported: {said}" in told
    assert '"status": "invalid"' in told.splitlines()[-1]
