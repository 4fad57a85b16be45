"""The warm-start blueprints against the released loop of Hare and Tortoise, arXiv:2406.02596.

The facts about its order are in trajectories/labelled/hare_tortoise.toml, with file and line. The loop below follows
them with torch's own layers, optimizer and clipping; the shipped blueprint of ResNet-18, with a small network and few
pictures, must end where it ends.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.blueprint import Blueprint, load
from composer.optim.hyperparameters import Hyperparameters
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.loop import train
from composer.training.session import Session

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "blueprints" / "warm_start"
FACTS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "trajectories" / "labelled" / "hare_tortoise.toml").read_text()
)
PHASES, EVENTS = FACTS["phase"], FACTS["events"]
UNIFORM = "{ kind = 'uniform_fan_in' }"
WARM_UPS = ", ".join(
    f"{{ kind = 'warmup', value = 1e-3, updates = {phase['warm_up']}, start = 0.0 }}" for phase in PHASES
)
SCALED_DOWN = (
    "environment.data={ kind = 'generated_images', samples = 200, held_out = 20, side = 8 }",
    "~environment.augmentation",
    f"environment.phases=[{{ epochs = {PHASES[0]['epochs']}, subset = 0.1, label_noise = 0.5 }}, "
    f"{{ epochs = {PHASES[1]['epochs']} }}]",
    f"algorithm.batch_size={FACTS['setting']['batch_size']}",
    f"training={{ env_steps = {PHASES[1]['last_update']}, log_every = 50 }}",
    "evaluation.every=30",
    "checkpoint.every=110",
    "tracking.kind='none'",
    "seeds=[1, 2]",
    f"optimizers.model.learning_rate={{ kind = 'in_turn', updates = [60], schedules = [{WARM_UPS}] }}",
    f"networks.model.trunk=[{{ kind = 'conv', width = 6, kernel = 3, bias = false, weight = {UNIFORM} }}, "
    "{ kind = 'batch_norm', unbiased = true }, { kind = 'relu' }, { kind = 'global_average_pool' }, "
    f"{{ kind = 'linear', width = 7, weight = {UNIFORM}, bias_init = {UNIFORM} }}, {{ kind = 'tanh' }}]",
)
METHODS = ("", "l2", "ema", "head_reset", "shrink_and_perturb", "self_distillation", "hare_tortoise")


class Trace:
    """A run of the shipped ResNet-18 blueprint, scaled down: its batches, its ends, and what it did in which order."""

    def __init__(self, variant: str, runs: Path, *overrides: str) -> None:
        blueprint = load(FOLDER / "resnet18.toml", [*SCALED_DOWN, *overrides], variant or None).blueprint
        run, session = assemble.start(blueprint, runs, variant or None)
        model = session.learner.networks["model"].tensors()
        self.first = {path: value.detach().clone() for path, value in model.items()}
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.log: list[tuple[str, int]] = []
        self._watch(session)
        train(session, Console(110, enabled=False))
        self.model = session.learner.networks["model"].tensors()
        self.tortoise = session.learner.averages["tortoise"].tensors() if session.learner.averages else {}
        session.close()
        run.close()

    def _watch(self, session: Session) -> None:
        batch, record, evaluate = session.collector.batch, session.record, session.evaluator.returns

        def drawn() -> Any:
            found = batch()
            self.batches.append((found.transitions.observation.clone(), found.transitions.action.argmax(-1)))
            return found

        def recorded(kind: str, **row: Any) -> None:
            if kind == "event" and row["seed"] == 1:
                self.log.append((row["name"], len(self.batches)))
            record(kind, **row)

        def evaluated(*given: Any) -> Any:
            self.log.append(("evaluation", len(self.batches)))
            return evaluate(*given)

        session.collector.batch, session.record = drawn, recorded  # type: ignore[method-assign]
        session.evaluator.returns = evaluated  # type: ignore[method-assign]

    def at(self, name: str) -> list[int]:
        """The updates done when something happened."""
        return [update for event, update in self.log if event == name]


class Net(nn.Module):
    """The small network of torch's layers."""

    def __init__(self, first: dict[str, Tensor], seed: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.hidden, self.out = nn.Linear(6, 7), nn.Linear(7, 10)
        own = {"conv": "trunk.0", "norm": "trunk.1", "hidden": "trunk.4", "out": "head.linear"}
        self.paths = {f"{mine}.{rest}": f"{ours}.{rest}" for mine, ours in own.items() for rest in _rests(first, ours)}
        state = self.state_dict()
        self.load_state_dict(state | {mine: first[ours][seed, 0] for mine, ours in self.paths.items()})

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to logits."""
        features = self.norm(self.conv(x)).relu().mean((2, 3))
        logits: Tensor = self.out(self.hidden(features).tanh())
        return logits


def _rests(tensors: dict[str, Tensor], prefix: str) -> Iterator[str]:
    return (path.removeprefix(f"{prefix}.") for path in tensors if path.startswith(f"{prefix}."))


def released(trace: Trace, seed: int, variant: str) -> tuple[Net, Net]:
    """The Hare and the Tortoise after the released loop, on the batches of one seed."""
    model = Net(trace.first, seed)
    initial, tortoise = copy.deepcopy(model), copy.deepcopy(model).eval()
    ema = 0.999 if variant in ("ema", "self_distillation", "hare_tortoise") else 0.0
    batches = iter(trace.batches)
    for phase in PHASES:
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.1 if variant == "l2" else 1e-3)
        step = 0
        for epoch in range(phase["epochs"]):
            for _ in phase["batches"]:
                for group in optimizer.param_groups:
                    group["lr"] = 1e-3 * min(step / phase["warm_up"], 1.0)
                inputs, labels = (part[seed] for part in next(batches))
                model.train()
                logits = model(inputs)
                loss = functional.cross_entropy(logits, labels)
                if variant == "self_distillation":
                    target = tortoise(inputs).softmax(1).detach()
                    # As nn.KLDivLoss(), whose mean is over batch and classes.
                    loss = loss + functional.kl_div(logits.log_softmax(1), target, reduction="none").mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                _follow(tortoise, model, ema)
                step += 1
            if variant == "hare_tortoise" and epoch % 10 == 0:
                model.load_state_dict(tortoise.state_dict())
        share = {"shrink_and_perturb": (0.8, 0.8), "head_reset": (0.0, 1.0)}.get(variant, (0.0, 0.0))
        if phase is not PHASES[-1]:
            _reinitialise(model, initial, *share)
    return model, tortoise


@torch.no_grad()
def _follow(slow: Net, fast: Net, ema: float) -> None:
    for ours, theirs in zip(slow.state_dict().values(), fast.state_dict().values(), strict=True):
        if ours.is_floating_point():
            ours.copy_(ema * ours + (1 - ema) * theirs)


@torch.no_grad()
def _reinitialise(model: Net, initial: Net, backbone: float, head: float) -> None:
    for (name, value), first in zip(model.named_parameters(), initial.parameters(), strict=True):
        share = head if name.startswith(("hidden", "out")) else backbone
        value.copy_((1 - share) * value + share * first)


@pytest.mark.parametrize("variant", METHODS)
def test_the_shipped_blueprint_ends_where_the_released_loop_ends(variant: str, tmp_path: Path) -> None:
    """110 updates through two phases; weights, batch norm's statistics and the Tortoise, for each of two seeds."""
    trace = Trace(variant, tmp_path)
    for seed in range(2):
        hare, tortoise = released(trace, seed, variant)
        pairs = [(hare, trace.model)] + ([(tortoise, trace.tortoise)] if trace.tortoise else [])
        for net, found in pairs:
            for mine, ours in net.paths.items():
                wanted, first = net.state_dict()[mine], trace.first[ours][seed, 0]
                error, moved = (found[ours][seed, 0] - wanted).norm(), (wanted - first).norm()
                # An average in float32 rounds at each of 110 updates.
                assert error < 1e-3 * moved + 5e-6 * wanted.norm(), f"{ours}: {error:.1e} off, {moved:.1e} moved"
        assert bool(trace.tortoise) is (variant in ("ema", "self_distillation", "hare_tortoise"))


def test_the_order_is_that_of_the_table(tmp_path: Path) -> None:
    trace = Trace("hare_tortoise", tmp_path)
    sizes = [labels.shape[1] for _, labels in trace.batches]
    assert sizes == [size for phase in PHASES for size in phase["batches"] * phase["epochs"]]
    assert [sum(phase["batches"]) for phase in PHASES] == [phase["samples"] for phase in PHASES]
    assert trace.at("hare") == EVENTS["hare_after_updates"]
    assert trace.at("evaluation") == FACTS["ours"]["evaluated_after_updates"]
    assert [update + 1 for update in (0, *trace.at("fresh_optimizer"))] == EVENTS["new_optimizer_before_updates"]
    shrunk = Trace("shrink_and_perturb", tmp_path)
    assert shrunk.at("shrink") == EVENTS["reinitialised_after_updates"][:1], "after the end there is nothing to learn"
    assert shrunk.log.index(("evaluation", 60)) < shrunk.log.index(("shrink", 60))
    at_resets = Trace("hare_tortoise", tmp_path, "evaluation.every=3")
    for update in EVENTS["hare_after_updates"][:2]:
        assert at_resets.log.index(("hare", update)) < at_resets.log.index(("evaluation", update))


def test_half_of_the_labels_of_phase_1_are_another_class(tmp_path: Path) -> None:
    phase = load(FOLDER / "resnet18.toml", SCALED_DOWN).blueprint.environment.plan[0]  # type: ignore[attr-defined]
    assert round(phase.noise(0) * PHASES[0]["samples"]) == PHASES[0]["wrong_labels"]


# What the shipped files say


@pytest.mark.parametrize(
    ("name", "phases", "warm_ups", "rate", "head", "classes"),
    [
        ("resnet18", (20_000, 21_756), (2_000, 2_175), 1e-3, ("trunk.1.", "head."), 10),
        ("vgg16", (40_000, 43_401), (4_000, 4_340), 1e-3, ("trunk.17.", "head."), 200),
        ("vit_tiny", (20_000, 21_756), (2_000, 2_175), 3e-3, ("head.",), 100),
    ],
)
def test_each_file_says_what_is_published(
    name: str,
    phases: tuple[int, int],
    warm_ups: tuple[int, int],
    rate: float,
    head: tuple[str, ...],
    classes: int,
) -> None:
    def variant(which: str | None = None) -> Blueprint:
        return load(FOLDER / f"{name}.toml", [], which).blueprint

    blueprint = variant()
    assert blueprint.training.env_steps == sum(phases)
    optimizer = blueprint.optimizers["model"]
    assert optimizer.max_gradient_norm == 0.5  # type: ignore[attr-defined]
    learning_rate = optimizer.learning_rate.build(Hyperparameters(6, "cpu"))  # type: ignore[attr-defined]
    at = [0, warm_ups[0] // 2, phases[0] - 1, phases[0], phases[0] + warm_ups[1] // 5, sum(phases) - 1]
    wanted = [0.0, rate / 2, rate, 0.0, rate * (warm_ups[1] // 5) / warm_ups[1], rate]
    torch.testing.assert_close(learning_rate(torch.tensor(at, dtype=torch.float64)), torch.tensor(wanted))
    plans = dict(blueprint.outlines["model"].named_parameters())  # type: ignore[union-attr]
    drawn = {plan.initializer.kind for path, plan in plans.items() if len(plan.shape) > 1 and "embedding" not in path}
    assert drawn - {"normal"} == {"uniform_fan_in"}
    chosen = variant("head_reset").interventions["head"].where.select(blueprint.trained_outlines)
    assert {path for _, path in chosen} == {path for path in plans if path.startswith(head)}
    assert variant("l2").optimizers["model"].weight_decay == 0.1  # type: ignore[attr-defined]
    distillation = variant("self_distillation").algorithm.distillation  # type: ignore[attr-defined]
    assert distillation.weight * classes == pytest.approx(1.0) and distillation.temperature == 1.0
    assert blueprint.environment.augmentation is not None  # type: ignore[attr-defined]
    half = load(FOLDER / f"{name}.toml", [], "without_augmentation+l2").blueprint
    assert half.environment.augmentation is None  # type: ignore[attr-defined]
    assert half.optimizers["model"].weight_decay == 0.1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_batch_norm_follows_the_unbiased_variance_as_torch_does(name: str) -> None:
    found = list(_batch_norms(load(FOLDER / f"{name}.toml").blueprint.networks["model"].trunk.model_dump()))
    assert found and all(found)


def _batch_norms(table: object) -> Iterator[bool]:
    """Whether each batch norm of a table of blocks is unbiased."""
    if isinstance(table, dict):
        if "unbiased" in table:
            yield table["unbiased"]
        table = list(table.values())
    if isinstance(table, list | tuple):
        for each in table:
            yield from _batch_norms(each)
