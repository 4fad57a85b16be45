"""ReDo, arXiv:2302.12902: which units are recycled, what becomes of them, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pupil import Pupil
from surgeon import Patient, intervention
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, rows, stopped, tiny
from torch import Tensor
from torch.nn import functional

from composer.blueprint import BlueprintError
from composer.networks.initialize import draw_one
from composer.spec.random_streams import derive

SEEDS = "seeds=[0, 5]"
TRUNK = "[{ kind = 'linear', width = 12 }, { kind = 'relu' }, { kind = 'linear', width = 8 }, { kind = 'relu' }]"
PLAIN = f"networks.critic.trunk={TRUNK}"
CRITIC = '["critic.*"]'
FIRST, SECOND, HEAD = "trunk.0", "trunk.2", "head.linear"


def recycle(tau: float, where: str = CRITIC, **keys: str) -> str:
    return intervention(f"{{ kind = 'recycle', tau = {tau}, batch = 24 }}", where, **keys)


def inputs(patient: Patient, firing: int = 0, name: str = "network") -> Tensor:
    """What the critic reads of the batch of a firing, ``[S, 24, 5]``."""
    learner = patient.learner
    generators = [
        torch.Generator().manual_seed(derive(seed, "intervention", "it", firing, name, "batch"))
        for seed in learner.seeds
    ]
    drawn = patient.replay.sample(24, learner.n_step, learner.discount, generators)
    return torch.cat([learner.normalised(drawn.observation), drawn.action], -1)


def dormant(weights: dict[str, Tensor], x: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Masks of both layers of one copy of one seed, by plain torch."""
    masks = []
    for layer in (FIRST, SECOND):
        x = torch.relu(functional.linear(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]))
        magnitude = x.abs().mean(0)
        masks.append(magnitude / magnitude.mean() <= tau)
    return masks[0], masks[1]


def drawn(patient: Patient, path: str, seed: int, copy: int, name: str = "network") -> Tensor:
    plan = dict(patient.learner.outlines["critic"].named_parameters())[path]
    return draw_one(plan, derive(seed, "intervention", "it", 0, name, "critic", copy, path))


def critic(state: dict[str, Tensor], seed: int, copy: int, prefix: str = "networks/critic/") -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v[seed, copy] for name, v in state.items() if name.startswith(prefix)}


def test_dormant_units_read_afresh_and_write_nothing() -> None:
    tau = 0.85
    plain, patient = Patient(SEEDS, PLAIN), Patient(SEEDS, PLAIN, recycle(tau, moments="chosen"))
    plain.update(3)
    patient.update(3)
    before, after, x = plain.state(), patient.state(), inputs(plain)
    counts = []
    for index, seed in enumerate((0, 5)):
        total = 0
        for copy in range(2):
            old, new = critic(before, index, copy), critic(after, index, copy)
            first, second = dormant(old, x[index], tau)
            total += int(first.sum() + second.sum())
            assert 0 < first.sum() < 12 and 0 < second.sum() < 8, "a test of something"
            fresh = {layer: drawn(patient, f"{layer}.weight", seed, copy) for layer in (FIRST, SECOND)}
            middle = torch.where(second[:, None], fresh[SECOND], old[f"{SECOND}.weight"])
            expected = {
                f"{FIRST}.weight": torch.where(first[:, None], fresh[FIRST], old[f"{FIRST}.weight"]),
                f"{FIRST}.bias": old[f"{FIRST}.bias"] * ~first,
                f"{SECOND}.weight": middle * ~first,
                f"{SECOND}.bias": old[f"{SECOND}.bias"] * ~second,
                f"{HEAD}.weight": old[f"{HEAD}.weight"] * ~second,
                f"{HEAD}.bias": old[f"{HEAD}.bias"],
            }
            assert expected.keys() == new.keys()
            touched = {
                f"{FIRST}.weight": first[:, None].expand(12, 5),
                f"{SECOND}.weight": first | second[:, None],
                f"{HEAD}.weight": second[None],
            }
            for path, value in expected.items():
                assert torch.equal(new[path], value), path
                for moment in ("first", "second"):
                    key = f"optimizers/critic/{moment}.{path}"
                    kept = before[key][index, copy] * ~touched.get(path, torch.tensor(False))
                    assert torch.equal(after[key][index, copy], kept), key
        counts.append(total)
    assert [event["units_recycled"] for event in patient.events] == counts
    same = [name for name in before if not name.startswith(("networks/critic/", "optimizers/critic/"))]
    assert all(torch.equal(before[name], after[name]) for name in [*same, "optimizers/critic/steps"])


def silence(patient: Patient | Pupil, role: str, layer: str, units: list[tuple[int, int, int]]) -> None:
    """Make units (seed, copy, unit) of a layer that ends in a ReLU answer 0 to everything."""
    with torch.no_grad():
        for seed, copy, unit in units:
            patient.learner.networks[role].parameters[f"{layer}.bias"][seed, copy, unit] = -1e4


def test_at_zero_only_silent_units_go_and_no_output_moves() -> None:
    patient = Patient(SEEDS, PLAIN, recycle(0.0))
    patient.update(2)
    silent = [(0, 0, 3), (0, 1, 7), (1, 1, 0), (1, 1, 11)]
    silence(patient, "critic", FIRST, silent)
    network, state, x = patient.learner.networks["critic"], patient.state(), inputs(patient)
    before, old = network(x).detach().clone(), state["networks/critic/trunk.0.bias"]
    masks = [[dormant(critic(state, seed, copy), x[seed], 0.0) for copy in range(2)] for seed in range(2)]
    patient.surgery.fire_planned("update", 2, 3)
    assert torch.equal(network(x), before)
    bias = patient.state()["networks/critic/trunk.0.bias"]
    assert torch.nonzero(bias != old).tolist() == [list(unit) for unit in silent]
    counts = [sum(int(mask.sum()) for pair in seed for mask in pair) for seed in masks]
    assert [event["units_recycled"] for event in patient.events] == counts
    hidden = torch.relu(x[1] @ network.parameters["trunk.0.weight"][1, 1].T + bias[1, 1])
    assert hidden[:, [0, 11]].any(0).all(), "they answer again"


def test_a_channel_takes_its_neighbours_behind_a_flatten_along() -> None:
    pupil = Pupil(intervention("{ kind = 'recycle', tau = 0.0 }", '["model.*"]', "{ kind = 'at', steps = [1] }"))
    silence(pupil, "model", "trunk.0", [(0, 0, 2)])
    silence(pupil, "model", "trunk.2", [(0, 0, 1), (1, 0, 4)])
    model = pupil.learner.networks["model"]
    x = torch.randn(2, 9, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    before, old = model(x).detach().clone(), {path: value.detach().clone() for path, value in model.parameters.items()}
    pupil.surgery.fire_planned("update", 0, 1)
    torch.testing.assert_close(model(x), before)
    changed = {path: (value != old[path]).flatten(2) for path, value in model.parameters.items()}
    assert changed["trunk.0.weight"].view(2, 4, 18).any(2).nonzero().tolist() == [[0, 2]]
    middle = model.parameters["trunk.2.weight"][:, 0]  # [S, out, in, 3, 3]
    assert middle[0, :, 2].abs().max() == 0 and middle[1, :, 2].abs().max() > 0
    assert changed["trunk.2.weight"].view(2, 5, 4, 9)[1].any((1, 2)).tolist() == [False] * 4 + [True]
    dense = changed["trunk.5.weight"].view(2, 6, 45).any(1)
    assert dense[0].nonzero().flatten().tolist() == list(range(9, 18)), "all places of channel 1"
    assert dense[1].nonzero().flatten().tolist() == list(range(36, 45))
    assert model.parameters["trunk.5.weight"][0, 0, :, 9:18].abs().max() == 0


def test_gains_of_a_unit_begin_anew_and_keep_their_moments() -> None:
    trunk = "[{ kind = 'linear', width = 12 }, { kind = 'layer_norm' }, { kind = 'relu' }]"
    patient = Patient(f"networks.critic.trunk={trunk}", recycle(0.0, moments="chosen"))
    patient.update(2)
    with torch.no_grad():
        shift = patient.learner.networks["critic"].parameters["trunk.1.bias"]
        shift[0, 0, 5] = -1e4
        patient.learner.networks["critic"].parameters["trunk.1.weight"][0, 0, 5] = 0.25
    patient.update(1)
    state = patient.state()
    assert state["networks/critic/trunk.1.bias"][0, 0, 5] == 0
    assert state["networks/critic/trunk.1.weight"][0, 0, 5] == 1
    assert (state["networks/critic/trunk.1.weight"][0, 0, [4, 6]] != 1).all()
    assert state["optimizers/critic/second.trunk.1.bias"][0, 0, 5] > 0
    assert state["optimizers/critic/second.trunk.0.weight"][0, 0, 5].abs().max() == 0


def test_noise_of_a_unit_begins_anew_on_the_way_in_and_ends_on_the_way_out() -> None:
    noisy = "{{ kind = 'noisy_linear', width = {} }}, {{ kind = 'relu' }}"
    patient = Patient(SEEDS, f"networks.critic.trunk=[{noisy.format(12)}, {noisy.format(8)}]", recycle(0.0))
    patient.update(2)
    silence(patient, "critic", FIRST, [(0, 1, 5)])
    critic = patient.learner.networks["critic"].parameters
    with torch.no_grad():
        for path in (f"{FIRST}.weight_sigma", f"{FIRST}.bias_sigma", f"{SECOND}.weight_sigma"):
            critic[path].fill_(0.7)
    patient.surgery.fire_planned("update", 2, 3)
    fresh = drawn(patient, f"{FIRST}.weight", 0, 1)
    assert torch.equal(critic[f"{FIRST}.weight"][0, 1, 5], fresh[5])
    sigma = 0.5 / 5**0.5
    torch.testing.assert_close(critic[f"{FIRST}.weight_sigma"][0, 1, 5], torch.full((5,), sigma))
    torch.testing.assert_close(critic[f"{FIRST}.bias_sigma"][0, 1, 5], torch.tensor(sigma))
    assert critic[f"{FIRST}.bias"][0, 1, 5] == 0 and critic[f"{FIRST}.weight_sigma"][0, 1, 4, 0] == 0.7
    for path in (f"{SECOND}.weight", f"{SECOND}.weight_sigma"):
        assert not critic[path][0, 1, :, 5].any() and critic[path][0, 1, :, 4].all(), path


def test_weights_of_unit_norm_stay_on_the_sphere() -> None:
    """A row that loses an input w_j is scaled by 1 / sqrt(1 - w_j^2); a fresh row is drawn on the sphere."""
    unit = "{{ kind = 'linear', width = {}, unit_norm = 'rows' }}, {{ kind = 'relu' }}"
    trunk = f"networks.critic.trunk=[{unit.format(12)}, {unit.format(8)}]"
    patient = Patient(SEEDS, trunk, recycle(0.0, moments="chosen"))
    patient.update(2)
    silence(patient, "critic", FIRST, [(0, 1, 5)])
    critic = patient.learner.networks["critic"].parameters
    with torch.no_grad():  # One unit of the second layer reads nothing else.
        critic[f"{SECOND}.weight"][0, 1, 1] = functional.one_hot(torch.tensor(5), 12).float()
        critic[f"{SECOND}.bias"][0, 1, 1] = 1.0
    old = critic[f"{SECOND}.weight"].detach().clone()
    optimizer = patient.learner.optimizers["critic"]
    before = [moment.clone() for moment in optimizer.moments(f"{SECOND}.weight")]
    patient.surgery.fire_planned("update", 2, 3)
    first, second = (critic[f"{layer}.weight"][0, 1] for layer in (FIRST, SECOND))
    torch.testing.assert_close(first[5], drawn(patient, f"{FIRST}.weight", 0, 1)[5])
    for weight in (first, second):
        torch.testing.assert_close(weight.norm(dim=1), torch.ones(len(weight)))
    rows, others = [row for row in range(8) if row != 1], torch.arange(12) != 5
    kept = old[0, 1, rows]
    torch.testing.assert_close(second[rows], kept * others / (1 - kept[:, 5:6].square()).sqrt())
    torch.testing.assert_close(second[1], drawn(patient, f"{SECOND}.weight", 0, 1)[1])
    assert torch.equal(critic[f"{SECOND}.weight"][0, 0], old[0, 0]), "the other copy has lost nothing"
    for moment, was in zip(optimizer.moments(f"{SECOND}.weight"), before, strict=True):
        assert not moment[0, 1, :, 5].any()
        assert torch.equal(moment[0, 1, :, :5], was[0, 1, :, :5]), "scaling a row forgets nothing"


@pytest.mark.parametrize("target", ["keep", "follow", "own"])
def test_targets_follow_their_rule(target: str) -> None:
    plain, patient = Patient(PLAIN), Patient(PLAIN, recycle(0.85, target=target))
    for each in (plain, patient):
        each.update(2)
        with torch.no_grad():  # In the average alone: it is judged by itself only where it is treated on its own.
            each.learner.averages["target_critic"].parameters[f"{FIRST}.bias"][0, 1, 0] = -1e4
        each.update(1)
    old, new = (each.state() for each in (plain, patient))
    name, online = "averages/target_critic/", critic(new, 0, 1)
    average, before = critic(new, 0, 1, name), critic(old, 0, 1, name)
    if target == "keep":
        assert all(torch.equal(average[path], before[path]) for path in before)
        return
    own = target == "own"
    judged, batch = (before, inputs(plain, 0, "target_critic")) if own else (critic(old, 0, 1), inputs(plain))
    first, _ = dormant(judged, batch[0], 0.85)
    assert bool(first[0]) is own
    weight = f"{FIRST}.weight"
    fresh = drawn(patient, weight, 0, 1, "target_critic") if own else online[weight]
    assert torch.equal(average[weight], torch.where(first[:, None], fresh, before[weight]))


def test_seeds_together_are_treated_as_alone() -> None:
    def run(seeds: str) -> Patient:
        when = "{ kind = 'every', interval = 2 }"
        patient = Patient(seeds, PLAIN, recycle(0.85, when=when, moments="chosen", target="own"))
        patient.update(5)
        return patient

    together = run(SEEDS)
    assert len(together.events) == 4
    for index, seed in enumerate((0, 5)):
        alone = run(f"seeds=[{seed}]")
        assert [e["units_recycled"] for e in alone.events] == [
            e["units_recycled"] for e in together.events if e["seed"] == index
        ]
        for name, value in alone.state().items():
            got = together.state()[name]
            got, expected = (got[:, index], value[:, 0]) if name == "signals" else (got[index], value[0])
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_resume_is_exact(tmp_path: Path) -> None:
    """Alone proves exact resume through ReDo."""
    when = "{ kind = 'every', interval = 9, clock = 'env' }"
    do = "{ kind = 'recycle', tau = 0.4, batch = 16 }"
    declared = (*EVENTFUL, PLAIN, intervention(do, CRITIC, when, moments="chosen"))
    run, _ = finished(tmp_path / "whole", *declared)
    events = [row for row in rows(run) if row["type"] == "event"]
    assert sum(event["units_recycled"] > 0 for event in events) > 5
    for at in (55, 90):
        assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([recycle(0.1, '["critic.head.*"]')], "no hidden units here can be recycled: in 'critic'"),
        (
            [recycle(0.1, '["critic.trunk.*", "temperature.*"]')],
            "no hidden units here can be recycled: in 'temperature'",
        ),
        ([PLAIN, recycle(0.1, '["critic.trunk.*"]')], "'where' leaves out critic.head.linear.weight"),
        ([PLAIN, recycle(0.1, '["critic.*weight"]')], "'where' leaves out critic.trunk.0.bias"),
        (
            [
                PLAIN,
                recycle(0.1),
                "interventions.other={ when = { kind = 'at', steps = [5] }, where = ['critic.*'], "
                "do = { kind = 'inject' }, target = 'follow' }",
            ],
            "'other' adds terms to 'critic'; units of such a network cannot be recycled",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_the_run(overrides: list[str], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, *overrides)
    assert message in str(caught.value)
