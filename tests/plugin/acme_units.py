"""Run by ``test_acme.py`` in a process that sees ``composer-acme``: its layer and its norm in everything about units.

Arguments: a blueprint with interventions on units, one with an injection, and where to draw a figure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from composer.blueprint import load
from composer.blueprint.inspect.diagram import draw
from composer.blueprint.inspect.lint import lint
from composer.networks.hidden_units import hidden_layers
from composer.replay.vectors import VectorRing
from composer.studies.doctor.site import behind_encoder
from composer.training.assemble import make_surgery
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.surgery.apply import Surgery

GENERATOR = torch.Generator().manual_seed(0)


def rows(*shape: int) -> Tensor:
    return torch.randn(1, 64, *shape, generator=GENERATOR)


def operated(path: str, events: list[dict[str, Any]]) -> tuple[Learner, Surgery]:
    blueprint = load(path).blueprint
    info = blueprint.environment.info
    learner = Learner(blueprint.agent, "cpu", Choice(False, "a test"))
    replay, none = VectorRing(1, 64, 64, info.observation[0], info.action_size), torch.zeros(1, 64, dtype=torch.bool)
    observed = rows(*info.observation), rows(info.action_size).tanh(), rows()
    replay.add(*observed, none, none, rows(*info.observation))
    return learner, make_surgery(blueprint, learner, lambda seed, event: events.append(event), replay)


def check_units(path: str) -> None:
    events: list[dict[str, Any]] = []
    learner, surgery = operated(path, events)
    outline, critic = learner.outlines["critic"], learner.networks["critic"]
    found = [(each.path, each.bias, [gain.path for gain in each.gains], each.readers[0].path)
             for each in hidden_layers(outline)]  # fmt: skip
    assert found == [
        ("trunk.0", "trunk.0.bias", ["trunk.1.gain"], "trunk.3"),
        ("trunk.3", "trunk.3.bias", ["trunk.4.gain"], "head.linear"),
    ]
    behind = [f"critic.{name}.*" for name in ("trunk.1", "trunk.3", "trunk.4", "head")]
    assert list(behind_encoder("critic", outline)) == behind
    bias, gain, reader = (critic.parameters[f"trunk.{name}"] for name in ("0.bias", "1.gain", "3.weight"))
    with torch.no_grad():
        bias[0, 1, 5], gain[0, 1, 5] = -1e4, 0.25
    surgery.fire_planned("update", 0, 1)
    assert events[0]["name"] == "redo" and events[0]["units_recycled"] >= 1
    assert (bias[0, 1, 5], gain[0, 1, 5]) == (0, 1)
    silent = ~reader[0, 1].any(0)
    assert silent[5] and not silent.all()
    surgery.fire_planned("update", 1, 2)
    # Of 12 units 1.2 are due and of 8 there are 0.8, in each of two copies.
    assert (events[1]["name"], events[1]["units_replaced"]) == ("replace", 2)


def check_injection(path: str) -> None:
    events: list[dict[str, Any]] = []
    _, surgery = operated(path, events)
    surgery.fire_planned("update", 0, 1)
    assert events[0]["output_change"] < 1e-6 and events[0]["trainable_after"] == events[0]["trainable_before"]


def check_advice(path: str) -> None:
    said = {(advice.rule, advice.path): advice.message for advice in lint(path)}
    assert said["norm-and-decay", "optimizers.critic"].startswith("normalisation without weight decay")


if __name__ == "__main__":
    units, injected, figure = sys.argv[1:]
    check_units(units)
    check_injection(injected)
    check_advice(units)
    draw(load(units).blueprint, Path(figure))
