"""Compositions that nobody wrote before: blueprints of general blocks, from their text to the networks that learn.

Each file of tests/compositions is one; what they extend begins with an underscore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch
from tiny_runs import go_on
from torch import Tensor, nn
from torch.func import functional_call

from composer.algorithms.base import Algorithm
from composer.algorithms.declared import Evaluated, Passes, Role, UpdateSchedule
from composer.algorithms.program import BuiltAgent, Program
from composer.blueprint import Blueprint, check, load
from composer.blueprint.inspect.eject import eject
from composer.blueprint.inspect.show import show_json
from composer.environments import Environment, EnvironmentInfo
from composer.networks.outline import Outline
from composer.networks.stacked import Stacked, Template, fresh_buffers, fresh_stack
from composer.spec.shape import Shape
from composer.training import assemble
from composer.training.divergence import ensure_finite

if TYPE_CHECKING:
    from composer.training.learner import Learner

FILES = {path.stem: path for path in sorted((Path(__file__).parent.parent / "compositions").glob("[!_]*.toml"))}


class Pictures(Environment, kind="test/pictures"):
    """Images of 3 channels, 4 actions; nothing behind them."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/pictures"}

    def describe(self) -> EnvironmentInfo:
        return EnvironmentInfo((3, 16, 16), 4, 10, 1, terminates=False)


class Reader(Algorithm, kind="test/reader"):
    """One network on observations; nothing is learned."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/reader"}

    def update_schedule(self, info: EnvironmentInfo) -> UpdateSchedule:
        return UpdateSchedule()

    def roles(self, info: EnvironmentInfo) -> tuple[Role, ...]:
        return (Role("reader", info.observation, has_one_copy=False),)

    def trained_roles(self) -> tuple[str, ...]:
        return ("reader",)

    def evaluations(self) -> tuple[Evaluated, ...]:
        return (Evaluated("reader", Passes.TRAIN),)

    def build(self, built: BuiltAgent, info: EnvironmentInfo, seeds: int, device: str) -> Program:
        raise NotImplementedError


@pytest.fixture(params=sorted(FILES))
def file(request: pytest.FixtureRequest) -> Path:
    return FILES[request.param]


def networks(blueprint: Blueprint) -> Iterator[tuple[str, Outline, Template]]:
    """Every network of a blueprint: its role, its outline and its module."""
    actions = blueprint.environment.info.action_size
    for role, outline in blueprint.agent.sound_outlines.items():
        spec = blueprint.networks[role]
        yield role, outline, Template(lambda s=spec, x=outline.input: s.build(x, actions))


def returned(output: Any) -> list[Tensor]:
    return list(output) if isinstance(output, tuple) else [output]


def inputs(shape: Shape, batch: int = 6) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))


def test_what_is_shown_is_what_is_built(file: Path) -> None:
    assert check(file) == []
    blueprint = load(file).blueprint
    shown = show_json(blueprint)["networks"]
    for role, outline, template in networks(blueprint):
        module, copies = template.evaluation, blueprint.networks[role].copies
        assert shown[role]["parameters"] == copies * sum(value.numel() for value in module.parameters())
        assert shown[role]["buffers"] == copies * sum(value.numel() for value in module.buffers())
        planned = [(path, plan.shape) for path, plan in outline.named_parameters()]
        assert planned == [(path, tuple(value.shape)) for path, value in module.named_parameters()]
        planned = [(path, plan.shape) for path, plan in outline.named_buffers()]
        assert planned == [(path, tuple(value.shape)) for path, value in module.named_buffers()]
        seen = {tuple(value.shape) for value in returned(module(torch.empty(7, *outline.input, device="meta")))}
        assert seen == {(7, *shown[role]["output_shape"])}


def stacked(outline: Outline, template: Template) -> Stacked:
    """Two seeds of two copies, fresh."""
    return Stacked(template, fresh_stack(outline, (0, 4), 2, "init"), fresh_buffers(outline, (0, 4), 2, "init"))


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_stacked_equals_alone_and_gradients_reach_what_learns(file: Path, training: bool) -> None:
    for role, outline, template in networks(load(file).blueprint):
        stack = stacked(outline, template)
        x = inputs(outline.input)
        before = {path: value.clone() for path, value in stack.buffers.items()}
        together = returned(stack(x.expand(2, *x.shape), training=training))
        module: nn.Module = template.training if training else template.evaluation
        for seed, copy in ((0, 0), (1, 1)):
            state = {path: value[seed, copy] for path, value in (stack.parameters | before).items()}
            alone = returned(functional_call(module, state, (x,)))
            for one, other in zip(together, alone, strict=True):
                torch.testing.assert_close(one[seed, copy], other, rtol=1e-4, atol=1e-5)
        trained = {path: value for path, value in stack.parameters.items() if value.requires_grad}
        assert trained.keys() == {path for path, plan in outline.named_parameters() if plan.trainable}
        weights = [inputs(tuple(value.shape[1:]), value.shape[0]) for value in together if value.requires_grad]
        loss = sum((w * v).sum() for w, v in zip(weights, [v for v in together if v.requires_grad], strict=True))
        assert isinstance(loss, Tensor)
        gradients = torch.autograd.grad(loss, list(trained.values()))
        unreached = [path for path, gradient in zip(trained, gradients, strict=True) if not gradient.any()]
        assert unreached == [], role


def test_ejected_it_computes_the_same(file: Path) -> None:
    blueprint = load(file).blueprint
    made: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(eject(blueprint), "ejected.py", "exec"), made)
    for role, outline, template in networks(blueprint):
        stack = stacked(outline, template)
        theirs: nn.Module = made[role]().eval()
        theirs.load_state_dict({path: value[0, 1] for path, value in stack.tensors().items()})
        x = inputs(outline.input)
        for ours, other in zip(returned(stack(x.expand(2, *x.shape))), returned(theirs(x)), strict=True):
            torch.testing.assert_close(ours[0, 1], other, rtol=1e-4, atol=1e-5)


def trained_parameters(learner: Learner, role: str) -> dict[str, Tensor]:
    return {path: value for path, value in learner.parameters(role).items() if value.requires_grad}


CONTROL = sorted(name for name, path in FILES.items() if '"_control.toml"' in path.read_text(encoding="utf-8"))
QUICK = {"mixtures_in_mixtures", "simba_v2_with_implicit_quantiles"}
"""Whose runs are among the quick tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in CONTROL]
)
def test_soft_actor_critic_trains_it_in_dm_control(name: str, tmp_path: Path) -> None:
    """Alone trains the larger compositions through the whole loop: every parameter moves and stays finite."""
    run, parts, *_ = assemble.start(load(FILES[name]).blueprint, tmp_path, None)
    learner = parts.learner
    first = {r: {k: v.detach().clone() for k, v in trained_parameters(learner, r).items()} for r in ("actor", "critic")}
    go_on(parts)
    run.close()
    assert learner.updates.tolist() == [30.0]
    ensure_finite(learner.tensors(), learner.seeds)
    still = [
        path
        for role in first
        for path, value in trained_parameters(learner, role).items()
        if value.equal(first[role][path])
    ]
    assert still == []
