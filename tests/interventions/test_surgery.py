"""What firing does: new values in place, for the seeds and entries it is for; moments, averages, schedules; events."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from surgeon import Patient, intervention
from tiny_runs import EVENTFUL, begin, finished, result, resumed, rows, stopped

from composer.networks.initialize import draw_one
from composer.spec.random_streams import derive

HEAD = "networks/critic/head.linear.weight"
SEEDS = "seeds=[0, 5]"
FRESH = "{ kind = 'lerp', toward = { kind = 'fresh' } }"


def drawn(patient: Patient, *stream: str | int) -> torch.Tensor:
    """The critic's head as drawn from a stream of each seed and copy."""
    plan = dict(patient.learner.outlines["critic"].named_parameters())["head.linear.weight"]
    path = "head.linear.weight"
    return torch.stack(
        [
            torch.stack([draw_one(plan, derive(s, *stream, "critic", c, path)) for c in range(2)])
            for s in patient.learner.seeds
        ]
    )


def test_a_reset_is_a_fresh_draw_of_its_own_stream_at_each_firing() -> None:
    patient = Patient(SEEDS, intervention(FRESH, '["critic.head.*"]', "{ kind = 'every', interval = 2 }"))
    before, places = patient.state(), patient.addresses()
    patient.update(2)
    first = patient.state()[HEAD]
    assert torch.equal(first, drawn(patient, "intervention", "it", 0, "network"))
    patient.update(2)
    second = patient.state()[HEAD]
    assert torch.equal(second, drawn(patient, "intervention", "it", 1, "network"))
    assert not torch.equal(first, second) and not torch.equal(first, before[HEAD])
    assert patient.addresses() == places
    assert [(e["seed"], e["firing"], e["at"]) for e in patient.events] == [
        (0, 1, {"update": 2}),
        (1, 1, {"update": 2}),
        (0, 2, {"update": 4}),
        (1, 2, {"update": 4}),
    ]


def test_everything_that_is_not_chosen_goes_on_as_before() -> None:
    plain, patient = Patient(SEEDS), Patient(SEEDS, intervention(FRESH, '["critic.head.*"]'))
    plain.update(3)
    patient.update(3)
    theirs = plain.state()
    changed = [name for name, value in patient.state().items() if not torch.equal(value, theirs[name])]
    assert changed == [HEAD, HEAD.replace("weight", "bias")]


@pytest.mark.parametrize(("moments", "zeroed"), [("keep", False), ("zero", True), ("chosen", True)])
def test_moments_follow_their_rule(moments: str, zeroed: bool) -> None:
    patient = Patient(SEEDS, intervention(FRESH, '["critic.head.*"]', moments=moments))
    patient.update(3)
    optimizer = patient.learner.optimizers["critic"]
    for moment in optimizer.moments("head.linear.weight"):
        assert bool(moment.any()) is not zeroed
    assert all(bool(moment.any()) for moment in optimizer.moments("trunk.0.weight"))
    assert optimizer.count("head.linear.weight").tolist() == ([0, 0] if moments == "zero" else [3, 3])
    assert optimizer.count("trunk.0.weight").tolist() == [3, 3]
    assert optimizer.clock().tolist() == [3, 3]


@pytest.mark.parametrize("target", ["keep", "follow", "own"])
def test_targets_follow_their_rule(target: str) -> None:
    patient = Patient(SEEDS, intervention(FRESH, '["critic.head.*"]', target=target))
    patient.update(2)
    patient.update(1)
    state = patient.state()
    online, average = state[HEAD], state["averages/target_critic/head.linear.weight"]
    if target == "follow":
        assert torch.equal(online, average)
    elif target == "own":
        assert torch.equal(average, drawn(patient, "intervention", "it", 0, "target_critic"))
    else:
        plain = Patient(SEEDS)
        plain.update(3)
        assert torch.equal(average, plain.state()["averages/target_critic/head.linear.weight"])


def test_an_average_on_its_own_is_moved_from_where_it_is() -> None:
    half = "{ kind = 'perturb', keep = 0.5, scale = 0.0 }"
    plain, patient = Patient(SEEDS), Patient(SEEDS, intervention(half, '["critic.head.*"]', target="own"))
    plain.update(3)
    patient.update(3)
    name = "averages/target_critic/head.linear.weight"
    assert torch.equal(patient.state()[name], 0.5 * plain.state()[name])


def test_a_schedule_restarts_where_asked() -> None:
    rate = "{ kind = 'linear', start = 1e-6, end = 1e-3, updates = 4 }"
    schedule = f"optimizers.critic={{ kind = 'adam', learning_rate = {rate} }}"
    patient = Patient(schedule, intervention("{ kind = 'nothing' }", '["critic.*"]', schedules="restart"))
    patient.update(5)
    assert patient.learner.optimizers["critic"].clock().tolist() == [2]
    assert patient.learner.optimizers["actor"].clock().tolist() == [5]
    assert patient.learner.optimizers["critic"].count("trunk.0.weight").tolist() == [5]


CROSSING = (
    "{ kind = 'crossing', metric = 'critic/loss', below = 1.0, "
    "patience = 2, cooldown = 10, maximum = 2, clock = 'env' }"
)  # fmt: skip


def test_a_crossing_fires_for_the_seed_that_crossed() -> None:
    patient = Patient(SEEDS, intervention(FRESH, '["critic.head.*"]', CROSSING, moments="zero"))
    patient.update(3)
    before = patient.state()

    def read(seed: int, value: float, env: int) -> None:
        patient.surgery.fire_on_metrics(
            seed, {"critic/loss": value, "other": 0.0}, {"env": env, "update": 3, "interaction": 0}
        )

    read(1, 0.5, 1)
    read(1, 2.0, 2)
    read(1, 0.5, 3)
    assert patient.events == [], "two in a row are needed"
    read(1, 0.5, 4)
    assert [(e["seed"], e["at"]) for e in patient.events] == [(1, {"env": 4})]
    after = patient.state()
    assert torch.equal(after[HEAD][0], before[HEAD][0]) and not torch.equal(after[HEAD][1], before[HEAD][1])
    assert patient.learner.optimizers["critic"].count("head.linear.weight").tolist() == [3, 0]
    read(1, 0.5, 5)
    read(1, 0.5, 6)
    assert len(patient.events) == 1, "cooling down"
    read(1, 0.5, 14)
    assert len(patient.events) == 2
    for env in range(30, 60):
        read(1, 0.5, env)
    assert len(patient.events) == 2, "at most twice"


def test_several_interventions_act_in_their_order() -> None:
    at = "when = { kind = 'at', steps = [2] }, where = ['critic.head.*']"
    reset = f"interventions.reset={{ {at}, do = {FRESH} }}"
    shrink = f"interventions.shrink={{ {at}, do = {{ kind = 'perturb', keep = 0.5, scale = 0.0 }} }}"
    orders = []
    for declared in ([reset, shrink], [shrink, reset]):
        patient = Patient(*declared)
        patient.update(2)
        orders.append(patient.state()[HEAD].norm().item())
    assert orders[0] == pytest.approx(0.5 * orders[1])


def test_seeds_together_are_treated_as_alone() -> None:
    def run(seeds: str) -> Patient:
        patient = Patient(seeds, intervention("{ kind = 'perturb', keep = 0.8 }", moments="zero", target="own"))
        patient.update(5)
        return patient

    together = run(SEEDS).state()
    for index, seed in enumerate((0, 5)):
        for name, value in run(f"seeds=[{seed}]").state().items():
            got = together[name][:, index] if name == "signals" else together[name][index]
            expected = value[:, 0] if name == "signals" else value[0]
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_events_are_in_the_journal_and_a_resumed_run_repeats_none(tmp_path: Path) -> None:
    """Alone proves that a resumed run fires nothing twice."""
    declared = [
        *EVENTFUL,
        intervention("{ kind = 'perturb', keep = 0.9 }", '["*", "!temperature.*"]', "{ kind = 'every', interval = 9 }"),
        "interventions.other={ when = { kind = 'crossing', metric = 'critic/loss', above = 0.0, clock = 'env', "
        "maximum = 3 }, where = ['actor.head.*'], "
        "do = { kind = 'lerp', toward = { kind = 'initial' }, amount = 0.5 } }",
    ]
    run, _ = finished(tmp_path / "whole", *declared)
    events = [row for row in rows(run) if row["type"] == "event"]
    assert {event["name"] for event in events} == {"it", "other"}
    assert all(event["norm_after"] < event["norm_before"] for event in events if event["name"] == "it")
    for at in (55, 79, 102):
        again = stopped(*begin(tmp_path / str(at), *declared), at=at)
        assert result(resumed(again)) == result(run)
