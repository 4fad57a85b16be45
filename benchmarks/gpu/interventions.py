"""Interventions under captured updates: a replayed graph sees changed weights, and changed networks are recaptured.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from benchmarks.gpu.agents import MLP, Agent, Case, Given, agent, distance, given, learn, weights
from benchmarks.gpu.equivalence import LIMIT
from benchmarks.gpu.pieces import Check, Findings, Piece
from benchmarks.gpu.setting import EAGER, Setting
from composer.replay.transitions import Minibatch, Transitions
from composer.training.assemble import make_surgery

_EVERY = 3
"""Updates between two firings."""


def _mlp(name: str, *overrides: str) -> Case:
    return Case(name, MLP.blueprint, overrides, MLP.toy)


_OFTEN: Final = f'interval = {_EVERY}, clock = "update"'
_ONCE: Final = f'when = {{ kind = "at", steps = [{_EVERY}], clock = "update" }}'
_REGULARLY: Final = f'when = {{ kind = "every", {_OFTEN} }}'

INTERVENTIONS: Final = (
    _mlp("reset", f'interventions.it={{ use = "full_reset", {_OFTEN} }}'),
    _mlp(
        "lerp to an average",
        'averages.tortoise={ of = "critic", momentum = 0.9 }',
        f'interventions.it={{ use = "hare_and_tortoise", {_OFTEN}, where = ["critic.*"] }}',
    ),
    _mlp("recycling", f'interventions.it={{ use = "redo", {_OFTEN}, tau = 0.5, batch = 8 }}'),
    _mlp(
        "injection", f'interventions.it={{ use = "injection", {_ONCE}, where = ["critic.trunk.1.*", "critic.head.*"] }}'
    ),
    _mlp("widening", f'interventions.it={{ use = "net2wider", {_ONCE}, noise = 0.0 }}'),
    _mlp("deepening", f'interventions.it={{ use = "net2deeper", {_ONCE} }}'),
    _mlp("twin", f'interventions.it={{ use = "altnet", {_OFTEN} }}'),
    _mlp("replaced units", 'interventions.it={ use = "continual_backprop", rate = 0.5, maturity = 1, batch = 8 }'),
    _mlp(
        "silent units",
        f'interventions.it={{ {_REGULARLY}, where = ["critic.*"], do = {{ kind = "reset_silent_units", most = 1, '
        "refresh = 2, batch = 8 } }",
    ),
    *(
        _mlp(name, f'interventions.it={{ {_REGULARLY}, where = ["critic.trunk.*weight"], do = {{ {do} }} }}')
        for name, do in {
            "clipping": 'kind = "clip", factor = 0.5',
            "projection": 'kind = "project", norm = "initial"',
            "perturbation": 'kind = "perturb", keep = 0.6, noise = { kind = "normal", std = 0.01 }',
            "pruning": 'kind = "prune", sparsity = 0.5, firings = 2',
            "renewed weights": 'kind = "renew_weights", share = 0.1, utility = "magnitude", batch = 8',
            "shrinking by dormancy": 'kind = "shrink_by_dormancy", batch = 8',
            "shrinking by direction": 'kind = "shrink_by_direction", least = 0.3, batch = 8',
        }.items()
    ),
)
"""One of each kind of operation that changes anything; a test says which is missing."""


class _Fixed:
    """In place of the run's data: always the same transitions."""

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def sample(self, batch: int, n_step: int, discount: Tensor, generators: list[torch.Generator]) -> Transitions:
        """The first ``batch`` transitions."""
        return Transitions(*(value[:, :batch] for value in self._transitions))

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The same."""
        return self.sample(batch, n_step, discount, [])


def intervene(setting: Setting) -> Findings:
    """Each kind of intervention, captured against eager."""
    findings = Findings()
    for case in INTERVENTIONS:
        with findings.attempt(case.name):
            _beside(case, setting, findings)
    return findings


def _beside(case: Case, setting: Setting, findings: Findings) -> None:
    """One intervention."""
    blueprint = case.load(setting)
    eager = agent(blueprint, setting.device, EAGER)
    batches, start = given(eager, 2 * _EVERY + 1), weights(eager)
    fired = _operated(eager, batches)
    captured = agent(blueprint, setting.device, setting.captured())
    also = _operated(captured, batches)
    apart = distance(start, weights(captured), weights(eager))
    row = {"intervention": case.name, "firings": fired, "updates": len(batches), "difference": apart, "limit": LIMIT}
    findings.rows.append(row)
    findings.checks.append(Check(case.name, apart, LIMIT))
    findings.checks.append(Check(f"{case.name}: fired, and as often", float(fired == 0 or fired != also), 0.0))


def _operated(one: Agent, batches: list[Given]) -> int:
    """Learn from the batches and intervene as declared; returns the number of firings."""
    data = _Fixed(batches[0].transitions)
    surgery = make_surgery(one.blueprint, one.learner, lambda seed, event: None, data)
    for number in learn(one, batches):
        batch = batches[number - 1]
        surgery.learned([Minibatch(batch.transitions, batch.extra)])
        surgery.fire_planned("update", number - 1, number)
    return sum(int(fired.sum()) for fired in surgery.fired.values())


PIECES: Final = (
    Piece("interventions", "Interventions between captured updates against the same between eager ones.", intervene),
)
