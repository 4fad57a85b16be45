"""Every command in the documentation runs, at a small size: here, or in the test that ``ELSEWHERE`` names.

Blueprints that are trained get ``--dry-run``: everything is built, and one update, one evaluation and one checkpoint
are made. Commands on runs get a run that was made here.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide_pages import ROOT
from typer.testing import CliRunner

from composer.cli import app

DOCS = ROOT / "docs"
FOLLOWED = {
    "guide/reading-a-blueprint.md": "test_guides.py",
    "guide/compose-your-own-block.md": "test_guides.py",
    "guide/interventions.md": "test_guides.py",
    "guide/warm-start.md": "test_guides.py",
    "guide/add-a-block.md": "test_adding.py",
    "guide/add-an-algorithm.md": "test_adding.py",
    "guide/add-an-environment.md": "test_adding.py",
    "guide/add-an-intervention.md": "test_adding.py",
    "guide/commands.md": "test_commands_page.py",
    "guide/first-variant.md": "test_first_guides.py",
    "guide/fork-and-doctor.md": "test_first_guides.py",
    "guide/hydra.md": "test_hydra.py",
    "guide/joint-batches.md": "test_guides.py",
    "guide/multitask.md": "test_guides.py",
    "guide/pixels.md": "test_guides.py",
    "guide/remedies.md": "test_remedies.py",
}
"""Pages whose commands the named test follows, for they need the files of their page."""
ELSEWHERE = {
    "composer study status": "tests/studies/execution",
    "composer study run": "tests/studies/execution",
    "composer search": "tests/studies/search",
    "composer simplicity --redshift": "tests/studies/test_simplicity.py",
    "composer discover": "tests/studies/discover",
    "composer scale": "tests/studies/scale",
    "composer compare studies/": "tests/studies/figures",
    "composer compare runs/sac_": "tests/studies/test_against.py",
    "composer compare runs/cartpole_dqn-": "tests/studies/test_compare_groups.py",
    "composer compare runs/humanoid_bench_": "tests/studies/test_references.py",
    "composer compare runs/mujoco_": "tests/studies/test_references.py",
    "composer train craftax/": "tests/environments/test_craftax.py",
    "composer train dmc/tdmpc2": "tests/papers/test_tdmpc2.py",
    "composer train humanoid_bench/": "tests/environments/test_registered.py",
    "composer train myosuite/": "tests/environments/test_registered.py",
    "composer train ogbench/": "tests/environments/test_environment_contract.py",
    "composer train playground/": "tests/environments/test_playground.py",
    "composer retention runs/continual": "tests/studies/test_retention.py",
    "composer correlate": "tests/studies/test_correlate.py",
    "composer resume": "tests/cli/test_commands.py",
    "composer register": "tests/training/export/test_register.py",
    "composer ui": "tests/tracking/test_ui.py",
}
"""What runs commands that take minutes, or that need a study."""


DEAR = {"atari/dreamer_v3": "atari/dreamer_v3@small"}
"""Blueprints of which even one update takes a minute, and a variant of each."""
SMALL = "training.env_steps=60 algorithm.warmup_interactions=10 evaluation.every=30 evaluation.episodes=1"
SMALL += " checkpoint.every=60 compute.compile=never compute.threads=1 tracking.kind=none"
STUDY = 'study = 1\nname = "study"\nblueprint = "warm_start/digits"\nseeds = 2\n[axis]\nvariant = ["base"]\n'


def pages() -> Iterator[tuple[str, str]]:
    """Pages by their path below docs/. Tutorials have their own test; test_shipped.py checks what the gallery has."""
    for path in sorted(DOCS.rglob("*.md")):
        name = path.relative_to(DOCS).as_posix()
        if name not in FOLLOWED and not name.startswith(("tutorials/", "gallery/")):
            yield name, path.read_text(encoding="utf-8")


def commands(text: str) -> Iterator[str]:
    """Commands after a dollar sign, without their comments; continued lines are one."""
    for fence in re.findall(r"^```(?:console|bash|sh)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^\$ (.*)$", fence.replace("\\\n", " "), flags=re.MULTILINE):
            yield re.sub(r"\s+#.*$", "", line).strip()


FOUND = list(dict.fromkeys(command for _, text in pages() for command in commands(text)))
OURS = [each for each in FOUND if each.startswith("composer ") and not each.startswith(tuple(ELSEWHERE))]


def small(command: str, run: str) -> list[str]:
    """The words of a command, made small; ``run`` stands for the runs that it names."""
    words = [run if word == "RUN" or word.startswith("runs/") else word for word in shlex.split(command)[1:]]
    if words[0] == "train":
        # A compiled update has tests of its own, which take as long as it takes to compile one.
        kept = [DEAR.get(word, word) for word in words if word != "compute.compile=always"]
        return [*kept, *([] if "compute.compile=never" in kept else ["compute.compile=never"]), "--dry-run"]
    if words[0] == "simplicity":
        return [*words, "--initialisations", "2"]
    if words[0] == "sweep":
        return ["plan", *(word for word in words[1:] if not word.startswith("--") and not word.isdigit())]
    if words[:2] == ["study", "plan"]:
        return [*words, "--no-calibrate"]
    if words[0] == "ablate":
        return [*words, "--plan"]
    return [re.sub(r"^\d+$", "1", word) for word in words] if words[0] == "tabular" else words


def test_commands_of_other_tests_have_their_tests() -> None:
    for place in ELSEWHERE.values():
        assert (ROOT / place).exists(), place
    for page, test in FOLLOWED.items():
        text = (ROOT / "tests" / "docs" / test).read_text(encoding="utf-8")
        assert page.removeprefix("guide/") in text or ("add-*.md" in text and page.startswith("guide/add-")), page


@pytest.mark.parametrize("command", [each for each in FOUND if not each.startswith(("composer ", "pip ", "export "))])
def test_what_make_and_python_run_is_there(command: str) -> None:
    words = [word for word in shlex.split(command) if "=" not in word or word.startswith("-")]
    words = words[words.index("nice") + 3 :] if "nice" in words else words
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    assert words[0] == "python", command
    if words[1] == "-m":
        spec = importlib.util.find_spec(words[2])
        assert spec is not None and spec.origin is not None, command
        origin = Path(spec.origin).with_name("__main__.py") if spec.submodule_search_locations else Path(spec.origin)
    else:
        origin = ROOT / words[1]
    text = origin.read_text(encoding="utf-8")
    assert all(word in text for word in words if word.startswith("--")), command


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of two seeds, evaluated twice."""
    folder = tmp_path_factory.mktemp("run")
    words = ["train", "classic/pendulum_td3", "seeds=[0,1]", "--runs", str(folder), *SMALL.split()]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (path,) = folder.iterdir()
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("command", OURS)
def test_a_command_runs(command: str, a_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone runs the commands of pages that no other test follows: benchmarks, studies, exact studies."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "study.toml").write_text(STUDY)
    done = CliRunner().invoke(app, small(command, a_run))
    assert done.exit_code == 0, done.output
