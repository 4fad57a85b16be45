"""The fingerprint of a run: every library that its numbers depend on, and none besides."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path

import pytest
from tiny_runs import DRIFT, TINY, begin, stopped, tiny

from composer.blueprint import load
from composer.environments.base import Environment
from composer.training import assemble
from composer.training.runs.libraries import versions
from composer.training.runs.provenance import fingerprint

MODULE = """
import gymnasium
import numpy
from gymnasium import spaces

import {helper}


class Walk(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (3,), numpy.float32)
    action_space = spaces.Box(-1, 1, (1,), numpy.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return numpy.zeros(3, numpy.float32), {{}}

    def step(self, action):
        return numpy.zeros(3, numpy.float32), {reward}, False, False, {{}}


gymnasium.register("{name}/Walk-v0", entry_point=Walk, max_episode_steps=10)
"""


def environment(text: str) -> Environment:
    return load(TINY, [f"environment={text}"]).blueprint.environment


def of(text: str) -> set[str]:
    """The libraries of an environment's fingerprint, without what every run has."""
    always = {"composer", "python", "torch", "numpy", "cpu_capability", "device", "threads"}
    found = fingerprint("cpu", environment(text))
    assert set(found) >= always and None not in found.values()
    return set(found) - always


def test_the_libraries_are_those_that_the_run_uses() -> None:
    assert of('{ kind = "dm_control", task = "cartpole-swingup" }') == {"dm_control", "mujoco"}
    assert of('{ kind = "gymnasium", id = "Pendulum-v1" }') == {"gymnasium"}
    assert of('{ kind = "gymnasium", id = "InvertedPendulum-v5" }') == {"gymnasium", "mujoco"}
    assert of('{ kind = "test/drift" }') == {"drift"}
    atari = load("blueprints/atari/dqn.toml").blueprint.environment
    assert set(fingerprint("cpu", atari)) >= {"ale-py", "gymnasium"}
    labelled = load("blueprints/plasticity/shuffled_labels.toml").blueprint.environment
    assert not {"mujoco", "dm_control", "gymnasium"} & set(fingerprint("cpu", labelled))


def made(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, reward: float = 1.0) -> str:
    """The declaration of an environment in a file of its own, which imports a second one."""
    (folder / f"{name}_helper.py").write_text("gravity = 9.81\n")
    (folder / f"{name}.py").write_text(MODULE.format(name=name, helper=f"{name}_helper", reward=reward))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("COMPOSER_ALLOW_MODULE", name)
    return f'{{ kind = "gymnasium", module = "{name}", id = "{name}/Walk-v0" }}'


def test_a_module_without_a_distribution_is_known_by_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = made(tmp_path, "walk_one", monkeypatch)
    assert of(declared) == {"gymnasium", "walk_one", "walk_one_helper"}
    before = fingerprint("cpu", environment(declared))
    assert str(before["walk_one"]).startswith("sha256:")
    (tmp_path / "walk_one_helper.py").write_text("gravity = 1.62\n")
    after = fingerprint("cpu", environment(declared))
    assert {name for name in before if before[name] != after[name]} == {"walk_one_helper"}


def test_a_distribution_behind_the_module_has_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = made(tmp_path, "walk_two", monkeypatch)
    installed(tmp_path, "walk-benchmark", "1.2", "walk_two", "walk_two_helper")
    found = fingerprint("cpu", environment(declared))
    assert found["walk-benchmark"] == "1.2" and "walk_two" not in found
    # An editable one changes under one version: its source counts too.
    information = tmp_path / "walk_benchmark-1.2.dist-info"
    (information / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    editable = fingerprint("cpu", environment(declared))["walk-benchmark"]
    assert str(editable).startswith("1.2+sha256:")
    (tmp_path / "walk_two.py").write_text("# other\n")
    assert fingerprint("cpu", environment(declared))["walk-benchmark"] != editable


def installed(folder: Path, name: str, version: str, *modules: str) -> None:
    information = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (information / "top_level.txt").write_text("\n".join(modules))
    (information / "RECORD").write_text("\n".join(f"{module}.py,," for module in modules))
    importlib.invalidate_caches()


def test_resume_says_which_library_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = made(tmp_path, "walk_three", monkeypatch)
    installed(tmp_path, "walk-study", "1.0", "walk_three", "walk_three_helper")
    run = stopped(*begin(tmp_path / "runs", f"environment={declared}", "training.env_steps=30"), at=10)
    information = tmp_path / "walk_study-1.0.dist-info"
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: walk-study\nVersion: 1.1\n")
    with pytest.raises(assemble.NotTheSame, match=r"\(walk-study: 1\.0 then, 1\.1 now\)"):
        assemble.resume(run)
    opened, session, notes = assemble.resume(run, inexact=True)
    assert notes == ["resumed inexactly: walk-study: 1.0 then, 1.1 now"]
    session.close()
    opened.close()


def test_what_the_run_does_not_use_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(*begin(tmp_path, DRIFT), at=10)
    version = importlib.metadata.Distribution.version

    def other(self: importlib.metadata.Distribution) -> str:
        return "0.0" if self.name in ("mujoco", "dm_control", "gymnasium", "ale-py") else version.fget(self)  # type: ignore[attr-defined]

    monkeypatch.setattr(importlib.metadata.Distribution, "version", property(other))
    opened, session, notes = assemble.resume(run)
    assert notes == []
    session.close()
    opened.close()


def test_plug_ins_and_absent_libraries() -> None:
    drift = tiny(DRIFT).environment
    assert fingerprint("cpu", drift, ("not-there",))["not-there"] is None
    assert versions(["PIL"]).keys() == {"pillow"}
    assert "drift" in sys.modules and str(fingerprint("cpu", drift)["drift"]).startswith("sha256:")


def test_a_module_is_of_the_distributions_that_python_names() -> None:
    owners = importlib.metadata.packages_distributions()
    for module in ("PIL", "sklearn", "cv2", "dateutil", "google"):
        assert versions([module]).keys() == set(owners[module])
    assert versions(["not_there"]) == {"not_there": None} and "not_there" not in owners
