"""BBF's cycle as its two parts declare it, in closed form. Source: Schwarzer et al., arXiv:2305.19452."""

from __future__ import annotations

import pytest
import torch
from surgeon import Patient
from torch import Tensor

from composer.networks.initialize import draw_one
from composer.spec.random_streams import derive

SEEDS = "seeds=[0, 5]"
AT = 30
HORIZON = (
    "algorithm.n_step={ kind = 'exponential', start = 10, end = 3, updates = 40 }",
    "algorithm.discount={ kind = 'lengthening', start = 0.97, end = 0.997, updates = 40 }",
)
KEYS = f"interval = {AT}, clock = 'update', spare_last = {AT}"
CYCLE = (
    f"interventions.encoder={{ use = 'bbf_encoder_shrink', {KEYS} }}",
    f"interventions.heads={{ use = 'bbf_head_reset', {KEYS} }}",
)


def fresh(patient: Patient, name: str, of: str, path: str, like: Tensor) -> Tensor:
    """A parameter as the first firing of an intervention draws it, for the network or an average of it."""
    plan = dict(patient.learner.outlines["critic"].named_parameters())[path]
    stream = ("intervention", name, 0, of, "critic")
    seeds = [
        torch.stack([draw_one(plan, derive(seed, *stream, copy, path)) for copy in range(like.shape[1])])
        for seed in patient.learner.seeds
    ]
    return torch.stack(seeds)


def test_the_cycle_has_its_closed_form() -> None:
    plain, patient = Patient(SEEDS, *HORIZON), Patient(SEEDS, *HORIZON, *CYCLE)
    plain.update(AT)
    patient.update(AT)
    old, new = plain.state(), patient.state()
    paths = [path for path, _ in patient.learner.outlines["critic"].named_parameters()]
    for where, of in (("networks/critic", "network"), ("averages/target_critic", "target_critic")):
        for path in paths:
            before, after = old[f"{where}/{path}"], new[f"{where}/{path}"]
            if path.startswith("head."):
                assert torch.equal(after, fresh(patient, "heads", of, path, after))
            else:
                half = 0.5 * before + 0.5 * fresh(patient, "encoder", of, path, after)
                torch.testing.assert_close(after, half, rtol=0, atol=1e-7)
    weight = "head.linear.weight"
    assert not torch.equal(new[f"networks/critic/{weight}"], new[f"averages/target_critic/{weight}"])
    rest = [name for name in new if "critic" not in name]
    assert rest and all(torch.equal(new[name], old[name]) for name in rest), "nothing else is touched"
    optimizer = patient.learner.optimizers["critic"]
    assert all(not moment.any() for path in paths for moment in optimizer.moments(path))
    assert all(optimizer.count(path).tolist() == [0, 0] for path in paths)


def test_horizons_begin_anew_with_each_cycle_and_follow_no_other_clock() -> None:
    patient = Patient(SEEDS, *HORIZON, *CYCLE)
    for update in range(2 * AT + 5):
        patient.learner.follow_schedules()
        since = update % AT if update else 0
        share = min(since, 40) / 40
        assert patient.learner.horizon.lengths is not None
        assert patient.learner.horizon.lengths.tolist() == [round(10 * 0.3**share)] * 2
        assert patient.learner.discount.tolist() == pytest.approx([1 - 0.03 * 0.1**share] * 2)
        patient.update()
    assert patient.learner.optimizers["actor"].clock().tolist() == [2 * AT + 5] * 2
    assert [(event["name"], event["at"]["update"]) for event in patient.events if event["seed"] == 0] == [
        (name, moment) for moment in (AT, 2 * AT) for name in ("encoder", "heads")
    ]


def test_the_last_interval_is_spared() -> None:
    patient = Patient(SEEDS, *CYCLE)
    when = patient.blueprint.interventions["heads"].when
    assert [*when.planned(5 * AT)] == [AT, 2 * AT, 3 * AT, 4 * AT], "not at the end itself"
