"""Self-normalised resets, arXiv:2410.20098, against the rule written out for one unit with a list of its intervals."""

from __future__ import annotations

import random

import pytest
import torch
from pydantic import ValidationError
from surgeon import Patient, intervention

from composer.interventions import ResetSilentUnits

TRUNK = "networks.critic.trunk=[{ kind = 'linear', width = 12 }, { kind = 'relu' }]"


class Unit:
    """One unit: its age, its threshold and the intervals since the last refresh."""

    def __init__(self, spec: ResetSilentUnits) -> None:
        self.spec, self.age, self.threshold, self.firings = spec, 0, spec.most, 0
        self.intervals: list[int] = []

    def step(self, answers: bool) -> bool:
        """Whether it is renewed."""
        self.firings += 1
        if answers:
            self.intervals += [min(self.age, self.spec.most)]
            self.age = 0
        else:
            self.age += 1
        if self.firings % self.spec.refresh == 0:
            known = sorted(age for age in self.intervals if age > 0)
            at = next((a for a in known if sum(b <= a for b in known) / len(known) >= 1 - self.spec.tail), 1)
            wanted = at if at < self.threshold else 2 * self.threshold
            self.threshold = min(max(wanted, self.spec.least), self.spec.most)
            self.intervals = []
        if self.age < self.threshold:
            return False
        self.intervals += [min(self.age, self.spec.most)]
        self.age = 0
        return True


@pytest.mark.parametrize("tail", [0.08, 0.4])
def test_units_go_when_they_outlast_their_own_silences(tail: float) -> None:
    spec, rng = ResetSilentUnits(tail=tail, most=30, least=2, refresh=40), random.Random(0)
    chances = [1.0, 0.9, 0.5, 0.2, 0.05, 0.0]
    units = [[[Unit(spec) for _ in chances] for _ in range(2)] for _ in range(2)]
    age, below = (torch.zeros(2, 2, 6, dtype=torch.float64) for _ in range(2))
    intervals, firings = torch.zeros(2, 2, 6, 31, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    renewed = [0] * 6
    for step in range(400):
        late = [chance if step < 200 else chance / 3 for chance in chances]
        answers = [[[rng.random() < chance for chance in late] for _ in range(2)] for _ in range(2)]
        found = spec._silent(torch.tensor(answers), age, below, intervals, firings)
        expected = [
            [[unit.step(answer) for unit, answer in zip(*pair, strict=True)] for pair in zip(*both, strict=True)]
            for both in zip(units, answers, strict=True)
        ]
        assert found.tolist() == expected
        renewed = [count + int(unit) for count, unit in zip(renewed, found.sum((0, 1)).tolist(), strict=True)]
    assert renewed[5] > 0 and renewed[0] > 0, "a silent unit, and one that began to fall silent"


def test_a_silent_unit_of_a_network_gets_fresh_weights_and_answers_nothing() -> None:
    do = "{ kind = 'reset_silent_units', most = 2, refresh = 100, batch = 24 }"
    when = "{ kind = 'every', interval = 1, clock = 'update' }"
    patient = Patient("seeds=[0, 5]", TRUNK, intervention(do, '["critic.*"]', when, moments="chosen"))
    patient.update(1)
    network = patient.learner.networks["critic"]
    with torch.no_grad():
        network.parameters["trunk.0.bias"][1, 0, 3] = -1e4
    patient.update(1)
    assert network.parameters["head.linear.weight"][1, 0, 0, 3] != 0, "silent once"
    before = network.parameters["trunk.0.weight"][1, 0, 3].clone()
    patient.surgery.fire_planned("update", 2, 3)
    patient.surgery.record_counts()
    assert network.parameters["head.linear.weight"][1, 0, 0, 3] == 0
    assert network.parameters["trunk.0.bias"][1, 0, 3] == 0
    assert not torch.equal(network.parameters["trunk.0.weight"][1, 0, 3], before)
    assert network.parameters["head.linear.weight"].eq(0).sum() == 1
    assert sum(event["units_reset"] for event in patient.events) == 1


def test_bounds_are_in_order() -> None:
    with pytest.raises(ValidationError, match="'least' must not be above 'most'"):
        ResetSilentUnits(least=3, most=2)
