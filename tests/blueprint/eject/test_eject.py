"""The ejected file of every shipped part, blueprint and kind: plain torch, well formed, the same to the last bit."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.blueprint import load
from composer.blueprint.inspect.eject import Subject, eject, printed
from composer.blueprint.inspect.parts_list import ACTIONS, try_out
from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.outline import Outline
from composer.spec import builtin_kinds as kinds
from composer.spec.lazy_call import LazyCall
from composer.spec.package_files import blueprint_files, blueprints_root

pytestmark = pytest.mark.slow

kinds.register()
PARTS = sorted(name for name, part in parts().items() if part.family in ("block", "head", "network"))
FILES = blueprint_files()
KINDS = [("block", kind) for kind in Block.kinds()] + [("head", kind) for kind in Head.kinds()]
FEATURES = (12,)


def declared(spec: Any, shape: tuple[int, ...]) -> tuple[LazyCall, Outline]:
    """The tree of calls of a block or a head, and its outline."""
    rest = () if isinstance(spec, Block) else (ACTIONS,)
    return spec.module(shape, *rest), spec.outline(shape, *rest)


@cache
def of_part(name: str) -> tuple[LazyCall, Outline]:
    part = parts()[name]
    trial = try_out(part)
    assert trial is not None
    body, problems = expand(annotate({"use": name}, {}, name))
    assert problems == {}
    family: Any = {"block": Block, "head": Head}[part.family]
    return declared(TypeAdapter[Any](family).validate_python(plain(body)), trial.outline.input)


@cache
def of_kind(family: str, kind: str) -> tuple[LazyCall, Outline]:
    root: Any = {"block": Block, "head": Head}[family]
    spec = TypeAdapter[Any](root).validate_python(dict(root.kinds()[kind].example))
    return declared(spec, spec.example_input if family == "block" else FEATURES)


def text_of(name: str, call: LazyCall, outline: Outline) -> str:
    return printed(f"The module {name!r}", [], [Subject("made", call, outline)])


def run(text: str) -> dict[str, Any]:
    """The file executed in an empty namespace, having imported nothing but torch and Python's own library."""
    tree = ast.parse(text)
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {module.partition(".")[0] for module in modules} <= {"__future__", "torch", "math", "typing", "collections"}
    namespace: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(tree, "ejected.py", "exec"), namespace)
    return namespace


def assert_same(ours: nn.Module, theirs: nn.Module, outline: Outline) -> None:
    """Equal paths, equal outputs and equal buffers afterwards, in both modes."""
    generator = torch.Generator().manual_seed(1)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    assert {path for path, _ in outline.named_parameters()} == dict(theirs.named_parameters()).keys()
    frozen = [path for path, value in ours.named_parameters() if not value.requires_grad]
    assert frozen == [path for path, value in theirs.named_parameters() if not value.requires_grad]
    for value in state.values():
        drawn = torch.rand(value.shape, generator=generator)
        value.copy_(0.1 * drawn + 0.01 if value.is_floating_point() else (1000 * drawn).long())
    theirs.load_state_dict(state)
    x = torch.randn(3, *outline.input, generator=generator)
    for training in (False, True):
        with torch.no_grad():
            first, second = ours.train(training)(x), theirs.train(training)(x)
        assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))
        assert all(torch.isfinite(a).all() for a in tensors(first))
        assert all(torch.equal(value, theirs.state_dict()[path]) for path, value in ours.state_dict().items())


def tensors(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_the_same_module(name: str) -> None:
    """Alone proves for every part that the ejected file computes the same numbers, bit by bit."""
    call, outline = of_part(name)
    assert_same(call.make(), run(text_of(name, call, outline))["made"](), outline)


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_the_example_of_a_kind_is_the_same_module(family: str, kind: str) -> None:
    """Alone proves for every kind of block and head that its ejected file computes the same numbers, bit by bit."""
    call, outline = of_kind(family, kind)
    assert_same(call.make(), run(text_of(kind, call, outline))["made"](), outline)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(blueprints_root()).as_posix())
def test_the_networks_of_a_blueprint_are_the_same(path: Path) -> None:
    """Alone ejects whole shipped blueprints."""
    blueprint = load(path, is_to_run=False).blueprint
    namespace = run(eject(blueprint))
    actions = blueprint.environment.info.action_size
    for role, outline in blueprint.agent.sound_outlines.items():
        network = blueprint.networks[role]
        assert_same(network.build(outline.input, actions), namespace[role](), outline)


def test_every_file_is_as_linter_and_formatter_want_it(tmp_path: Path) -> None:
    """Alone runs ruff over ejected files."""
    for name in PARTS:
        (tmp_path / f"part_{name}.py").write_text(text_of(name, *of_part(name)))
    for family, kind in KINDS:
        (tmp_path / f"{family}_{kind}.py").write_text(text_of(kind, *of_kind(family, kind)))
    for path in FILES:
        (tmp_path / f"blueprint_{path.stem}.py").write_text(eject(load(path, is_to_run=False).blueprint))
    settings = Path(__file__).parents[3] / "pyproject.toml"
    for command in (["check", "--no-cache"], ["format", "--diff", "--no-cache"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--config", str(settings), str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, timeout=3_600)
        assert done.returncode == 0, done.stdout + done.stderr
