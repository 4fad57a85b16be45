"""The guides are true: their files are written, their commands run, and what they print is what the page says."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guide_pages import GUIDES, ROOT, assert_printed, fences, run, write_files

sys.path.insert(0, str(ROOT / "tests" / "plugin"))

READING = ("check", "show", "explain", "diff", "lint", "parts", "schema", "eject")
"""Commands that are run here: those that read blueprints."""


def commands(name: str) -> Iterator[tuple[list[str], str]]:
    """The commands of a guide that only read, each with what the page says that it prints."""
    for fence in fences(name):
        if fence.language == "console":
            for piece in re.split(r"^\$ ", fence.text, flags=re.MULTILINE)[1:]:
                line, _, output = piece.partition("\n")
                words = line.partition("  #")[0].split()
                if words[0] == "pip" or (words[0] == "composer" and words[1] in READING and ">" not in words):
                    yield words, output


def assert_true(name: str, folder: Path, *sites: Path) -> None:
    """Every reading command of a guide prints what the guide says; after ``pip`` it sees ``sites``."""
    before: list[tuple[list[str], str]] = []
    after: list[tuple[list[str], str]] = []
    has_pip = any(words[0] == "pip" for words, _ in commands(name))
    seen = before
    for words, expected in commands(name):
        if words[0] == "pip":
            seen = after
        else:
            seen.append((words[1:], expected))
    for several, where in ((before, () if has_pip else sites), (after, sites)):
        if several:
            for (words, expected), output in zip(
                several, run([words for words, _ in several], folder, *where), strict=True
            ):
                assert_printed(expected, output, words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to work in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def installed(project: Path, site: Path) -> Path:
    """A folder from which a project's wheel can be imported, as pip would leave it."""
    from wheels import wheel

    with zipfile.ZipFile(wheel(project, site.parent)) as archive:
        archive.extractall(site)
    return site


@pytest.mark.slow
def test_compose_your_own_block(folder: Path, tmp_path: Path) -> None:
    """Alone follows the guide to a plug-in: its wheel, its commands, its own test."""
    name = "compose-your-own-block.md"
    assert len(write_files(name, folder)) == 11
    site = installed(folder / "composer-mine", tmp_path / "site")
    assert_true(name, folder, site)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "composer-mine/test_sine.py"],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=3_600, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_reading_a_blueprint(folder: Path) -> None:
    name = "reading-a-blueprint.md"
    assert len(write_files(name, folder)) == 6
    assert_true(name, folder)
    assert (folder / "mine.svg").stat().st_size > 1_000
    ejected = (folder / "networks.py").read_text(encoding="utf-8")
    assert "import torch" in ejected
    assert not re.search(r"^\s*(?:from|import) composer", ejected, flags=re.MULTILINE)


def test_many_tasks(folder: Path) -> None:
    assert len(write_files("multitask.md", folder)) == 1
    assert_true("multitask.md", folder)


def test_joint_batches(folder: Path) -> None:
    assert len(write_files("joint-batches.md", folder)) == 1
    assert_true("joint-batches.md", folder)


def test_the_experiments_on_atari_are_what_the_guide_says(folder: Path) -> None:
    assert len(write_files("atari.md", folder)) == 1
    assert_true("atari.md", folder)
    text = (GUIDES / "atari.md").read_text(encoding="utf-8")
    shipped = {f"atari/{path.stem}" for path in (ROOT / "blueprints" / "atari").glob("*.toml")}
    assert set(re.findall(r"`(atari/\w+)`", text)) == shipped
    (said,) = run([["study", "check", "bbf_100k.toml"]], folder)
    assert "3 points on 26 tasks, 5 seeds each: 78 runs" in said


def test_agents_from_pixels(folder: Path) -> None:
    from composer.algorithms.pixels import Pixels

    assert len(write_files("pixels.md", folder)) == 2
    assert_true("pixels.md", folder)
    text = (GUIDES / "pixels.md").read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in text for key in Pixels.model_fields)


def test_interventions(folder: Path) -> None:
    from composer.blueprint import load
    from composer.interventions import Trigger

    name = "interventions.md"
    assert len(write_files(name, folder)) == 4
    assert_true(name, folder)
    variants = load(folder / "methods.toml").variants
    used = {each.kind for v in variants for each in _done(load(folder / "methods.toml", (), v).blueprint)}
    assert used == {"lerp", "perturb", "inject", "project"}
    text = (GUIDES / name).read_text(encoding="utf-8")
    for variant in load(ROOT / "blueprints" / "dmc" / "sac_injection.toml").variants:
        assert f"`{variant}`" in text, "every ablation is listed"
    assert all(f"`{kind}`" in text for kind in Trigger.kinds())


def test_warm_start(folder: Path) -> None:
    from composer.blueprint import load
    from composer.environments.labelled.datasets import Data
    from composer.environments.labelled.phase import Phase

    name = "warm-start.md"
    assert len(write_files(name, folder)) == 1
    assert_true(name, folder)
    text = (GUIDES / name).read_text(encoding="utf-8")
    for variant in load(ROOT / "blueprints" / "warm_start" / "vit_tiny.toml").variants:
        assert f"| `{variant}` |" in text, "every variant is listed"
    assert all(f"`{key}`" in text for key in Phase.model_fields)
    assert {"cifar", "digits", "generated_images", "tiny_imagenet"} == {
        kind for kind, spec in Data.kinds().items() if f"| `{kind}` |" in text and not spec.varies
    }


def _done(blueprint: Any) -> list[Any]:
    return [each.do for each in blueprint.interventions.values()]


@pytest.fixture
def elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page on the same block elsewhere, importable."""
    write_files("same-block-elsewhere.md", folder)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("plain", "policy"):
        sys.modules.pop(name, None)


def seven_lines() -> str:
    """The block as the page writes it in TOML."""
    (block,) = [fence.text for fence in fences("same-block-elsewhere.md") if fence.text.startswith('kind = "residual"')]
    assert block.count("\n") == 7
    return block


def assert_same(ours: Any, theirs: Any, size: int) -> None:
    """Two modules compute the same from the same parameters, which they hold in the same order."""
    import torch

    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    with torch.no_grad():
        for index, (mine, other) in enumerate(pairs):
            mine.copy_(torch.randn(mine.shape, generator=torch.Generator().manual_seed(index)) / 8)
            other.copy_(mine)
        x = torch.randn(7, size, generator=torch.Generator().manual_seed(99))
        torch.testing.assert_close(theirs(x), ours(x))
        assert ours(x).std() > 0.1


def test_the_block_in_plain_torch_computes_the_same(elsewhere: Path) -> None:
    from pydantic import TypeAdapter

    from composer.blueprint import load
    from composer.blueprint.syntax.nodes import plain as values
    from composer.blueprint.syntax.parts_expand import expand
    from composer.blueprint.syntax.read import parse_tree
    from composer.networks.blocks import Block

    block = TypeAdapter[Block](Block).validate_python(tomllib.loads(seven_lines()))
    part, _ = expand(parse_tree(b'block = { use = "simba_block", width = 64 }', "part"))
    assert block == TypeAdapter[Block](Block).validate_python(values(part)["block"]), "the page's is the registry's"
    plain: Any = importlib.import_module("plain")
    assert_same(block.build((64,)), plain.SimbaBlock(64), 64)
    blueprint = load(elsewhere / "simba.toml").blueprint
    trunk = blueprint.networks["critic"].trunk
    assert_same(trunk.build((6,)), plain.Simba(6, 64, 2), 6)


def test_the_first_values_in_plain_torch_are_drawn_alike(elsewhere: Path) -> None:
    import torch

    plain: Any = importlib.import_module("plain")
    torch.manual_seed(0)
    weight = plain.SimbaBlock(256).widen.weight
    assert weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.01)
    assert weight.abs().max().item() <= 2 * (2 / 256) ** 0.5 / 0.8796


def test_the_block_in_a_policy_computes_the_same(elsewhere: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 comes with the extra 'bench'")
    import gymnasium
    import numpy as np
    from stable_baselines3 import SAC

    from composer.blueprint import load

    class Still(gymnasium.Env[Any, Any]):
        """The sizes of cartpole-swingup, and nothing that moves."""

        observation_space = gymnasium.spaces.Box(-1, 1, (5,), np.float32)
        action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            return np.zeros(5, np.float32), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            return np.zeros(5, np.float32), 0.0, False, True, {}

    policy: Any = importlib.import_module("policy")
    sizes = {"width": 64, "actor_blocks": 1, "critic_blocks": 2}
    agent: Any = SAC(policy.SimbaPolicy, Still(), policy_kwargs=sizes, learning_starts=4, batch_size=4, buffer_size=64)
    agent.learn(6)
    networks = load(elsewhere / "simba.toml").blueprint.networks
    assert agent.critic.n_critics == networks["critic"].copies
    assert_same(networks["actor"].trunk.build((5,)), agent.actor.latent_pi, 5)
    for index in range(agent.critic.n_critics):
        assert agent.critic_target.q_networks[index] is not agent.critic.q_networks[index]
        assert_same(networks["critic"].trunk.build((6,)), agent.critic.q_networks[index][0], 6)
    trained = {id(value) for group in agent.actor.optimizer.param_groups for value in group["params"]}
    assert {id(value) for value in agent.actor.latent_pi.parameters()} <= trained


def test_lines_are_counted_as_the_page_says() -> None:
    text = (GUIDES / "same-block-elsewhere.md").read_text(encoding="utf-8")
    plain, policy = (fence.text for fence in fences("same-block-elsewhere.md") if fence.language == "python")
    block = code_lines(plain[plain.index("class SimbaBlock") : plain.index("class Simba(")])
    inside = code_lines(policy[policy.index("class SimbaPolicy") :])
    assert f"| lines for the block, without imports | 7 | {block} | the same {block} |" in text
    assert f"| lines to put it into SAC's actor and critics | 3 | a training program | {inside} |" in text


def code_lines(text: str) -> int:
    """Lines that are neither empty, nor a comment, nor a docstring."""
    stripped = [line.strip() for line in text.splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in stripped)
