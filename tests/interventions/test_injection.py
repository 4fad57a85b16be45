"""Plasticity injection, arXiv:2305.15555: what stays, what is frozen, what is trained, and every ablation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dispatched import captured_without_code
from surgeon import Patient, intervention
from tiny_runs import DRIFT, EVENTFUL, begin, finished, result, resumed, stopped, tiny

from composer.blueprint import BlueprintError
from composer.training.compile.capture import Choice

SEEDS = "seeds=[0, 5]"
TAIL = '["critic.trunk.1.*", "critic.trunk.2.*", "critic.head.*"]'


def injected(
    do: str = "{ kind = 'inject' }", where: str = TAIL, when: str = "{ kind = 'at', steps = [3] }", **keys: str
) -> str:
    return intervention(do, where, when, target="follow", **keys)


def q(patient: Patient, name: str = "critic") -> torch.Tensor:
    """Values of a probe batch under the critic or an average of it."""
    network = patient.learner.networks.get(name) or patient.learner.averages[name]
    x = torch.randn(2, 16, 5, generator=torch.Generator().manual_seed(9))
    value: torch.Tensor = network(x[: len(patient.learner.seeds)])
    return value.detach().clone()


def trained(patient: Patient) -> dict[str, torch.Tensor]:
    return {p: v for p, v in patient.learner.networks["critic"].parameters.items() if v.requires_grad}


def test_outputs_stay_and_as_many_parameters_are_trained() -> None:
    plain, patient = Patient(SEEDS), Patient(SEEDS, injected())
    count = sum(value[0].numel() for value in trained(patient).values())
    plain.update(3)
    patient.update(3)
    for name in ("critic", "target_critic"):
        assert torch.equal(q(patient, name), q(plain, name))
    assert sum(value[0].numel() for value in trained(patient).values()) == count
    (event, _) = patient.events
    assert event["output_change"] == 0 and event["trainable_before"] == event["trainable_after"] == count
    parameters = patient.learner.networks["critic"].parameters
    new = {path: value for path, value in parameters.items() if ".new." in path}
    assert new and all(torch.equal(value, parameters[path.replace(".new.", ".twin.")]) for path, value in new.items())
    average = patient.learner.averages["target_critic"].parameters
    assert all(torch.equal(average[path], value) for path, value in parameters.items() if "injections" in path)
    assert not torch.equal(parameters["injections.0.new.head.linear.weight"], parameters["head.linear.weight"])
    places = [value.untyped_storage().data_ptr() for value in patient.learner.tensors().values()]
    assert len(places) == len(set(places)), "no two states share storage"


def test_only_the_new_term_and_the_encoder_are_trained_and_the_encoder_through_all_terms() -> None:
    patient = Patient(SEEDS, injected())
    patient.update(3)
    before = {p: v.detach().clone() for p, v in patient.learner.networks["critic"].parameters.items()}
    critic = patient.learner.networks["critic"]
    x = torch.randn(2, 16, 5, generator=torch.Generator().manual_seed(9))
    (gradient,) = torch.autograd.grad(critic(x).sum(), [critic.parameters["trunk.0.weight"]])
    # While new and twin cancel, the encoder's gradient is that of the frozen term: not zero, since it flows through.
    assert gradient.abs().max() > 1e-3
    patient.update(4)
    moved = {path for path, value in critic.parameters.items() if not torch.equal(value, before[path])}
    assert moved == {path for path in before if path.startswith(("trunk.0.", "injections.0.new."))}
    optimizer = patient.learner.optimizers["critic"]
    assert set(optimizer.paths()) == moved
    assert optimizer.count("trunk.0.weight").tolist() == [7, 7], "old moments are kept"
    assert optimizer.count("injections.0.new.head.linear.weight").tolist() == [4, 4], "new ones begin at nothing"


def test_weight_decay_leaves_frozen_terms_alone() -> None:
    patient = Patient(injected(), "optimizers.critic.weight_decay=1.0", "optimizers.critic.learning_rate=0.1")
    patient.update(3)
    frozen = patient.learner.networks["critic"].parameters["head.linear.weight"].detach().clone()
    patient.update(3)
    assert torch.equal(patient.learner.networks["critic"].parameters["head.linear.weight"], frozen)


def test_it_may_be_repeated() -> None:
    patient = Patient(SEEDS, injected(when="{ kind = 'every', interval = 2, maximum = 3 }"))
    patient.update(7)
    assert [event["firing"] for event in patient.events] == [1, 1, 2, 2, 3, 3]
    assert max(event["output_change"] for event in patient.events) <= 1e-6
    names = {path.split(".")[1] for path in trained(patient) if path.startswith("injections.")}
    assert names == {"2"}, "only the newest term is trained"


def test_without_the_third_term_outputs_change() -> None:
    patient, plain = Patient(injected("{ kind = 'inject', third_term = 'omit' }")), Patient()
    patient.update(3)
    plain.update(3)
    assert not any(".twin." in path for path in patient.learner.networks["critic"].parameters)
    assert patient.events[0]["output_change"] > 0.01
    term = q(patient) - q(plain)
    assert term.abs().max() > 0.01


def test_the_original_may_go_on_being_trained() -> None:
    patient = Patient(injected("{ kind = 'inject', original = 'train' }"))
    patient.update(3)
    before = patient.learner.networks["critic"].parameters["head.linear.weight"].detach().clone()
    patient.update(2)
    assert not torch.equal(patient.learner.networks["critic"].parameters["head.linear.weight"], before)
    assert patient.events[0]["trainable_after"] > patient.events[0]["trainable_before"]


def test_nothing_need_be_shared() -> None:
    patient, plain = Patient(injected(where='["critic.*"]')), Patient()
    patient.update(3)
    plain.update(3)
    assert torch.equal(q(patient), q(plain))
    assert all(path.startswith("injections.0.new.") for path in trained(patient))


def test_other_interventions_choose_the_same_parameters_before_and_after_a_resume() -> None:
    reset = (
        "interventions.reset={ when = { kind = 'at', steps = [5] }, where = ['critic.*'], do = { kind = 'perturb' } }"
    )
    whole, halved = Patient(injected(), reset), Patient(injected(), reset)
    whole.update(4)
    saved = {**whole.surgery.tensors(), **whole.state()}
    halved.surgery.restore(saved)
    halved.learner.load(saved)
    halved.updates = 4
    for each in (whole, halved):
        each.surgery.fire_planned("update", 4, 5)
    assert whole.events[-1] == halved.events[-1]


EVERY = "{ kind = 'every', interval = 13, maximum = 2 }"
CROSSING = "{ kind = 'crossing', metric = 'critic/loss', above = 0.0, maximum = 2, clock = 'env' }"


def test_seeds_may_be_injected_at_times_of_their_own() -> None:
    patient, plain = Patient(SEEDS, injected(when=CROSSING)), Patient(SEEDS)
    patient.update(2)
    plain.update(2)

    def read(seed: int, env: int) -> None:
        patient.surgery.fire_on_metrics(seed, {"critic/loss": 1.0}, {"env": env, "update": 0, "interaction": 0})

    read(1, 1)
    assert torch.equal(q(patient), q(plain))
    patient.update(3)
    plain.update(3)
    torch.testing.assert_close(q(patient)[0], q(plain)[0], msg="the other seed learns as if nothing had been done")
    parameters = patient.learner.networks["critic"].parameters
    new, twin = (parameters[f"injections.0.{term}.head.linear.weight"] for term in ("new", "twin"))
    assert torch.equal(new[0], twin[0]) and not torch.equal(new[1], twin[1])
    before = q(patient)
    read(0, 9)
    assert torch.equal(q(patient), before)
    frozen = parameters["head.linear.weight"].detach().clone()
    patient.update(2)
    assert torch.equal(parameters["head.linear.weight"], frozen)
    assert not torch.equal(new[0], twin[0])


@pytest.mark.parametrize(
    ("when", "moments"),
    [
        (EVERY, (80,)),
        pytest.param(EVERY, (50, 72, 101), marks=pytest.mark.slow),
        pytest.param(CROSSING.replace("'m'", "'critic/loss'"), (50, 72, 80, 101), marks=pytest.mark.slow),
    ],
    ids=["every", "every, more", "crossing"],
)
def test_resume_is_exact_before_at_and_after(when: str, moments: tuple[int, ...], tmp_path: Path) -> None:
    """Beside the quick moment, others, and an injection that a metric sets off."""
    declared = (*EVENTFUL, injected(when=when))
    run, _ = finished(tmp_path / "whole", *declared)
    for at in moments:
        assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (injected(where='["critic.head.linear.weight"]'), "'head.linear.bias' is left out"),
        (injected(where='["critic.trunk.0.*"]'), "choose whole layers from one of the trunk's blocks to the head"),
        (
            injected(where='["critic.head.*", "actor.head.*"]'),
            "takes one network; 'where' chooses 'actor' and 'critic'",
        ),
        (
            intervention("{ kind = 'inject' }", '["actor.head.*"]'),
            "'actor' is a network with the head 'tanh_gaussian'; only outputs",
        ),
        (intervention("{ kind = 'inject' }", '["critic.head.*"]'), "write target = 'follow' beside 'do'"),
        (intervention("{ kind = 'inject' }", '["critc.head.*"]'), "did you mean 'critic.*'"),
        (
            intervention("{ kind = 'lerp', toward = { kind = 'average', name = 'tortois' } }"),
            "no average named 'tortois'",
        ),
        (intervention("{ kind = 'nothing' }", '["actor.*"]', target="follow"), "nothing averages 'actor'"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_run(override: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, override)
    assert message in str(caught.value)


@pytest.mark.slow
def test_one_recompilation_and_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that an injection costs one new graph, and that it computes what the eager update does."""
    from torch._dynamo.utils import counters

    captured_without_code(monkeypatch)
    eager = Patient(SEEDS, injected())
    eager.update(6)
    counters.clear()
    compiled = Patient(SEEDS, injected(), choice=Choice(True, "a test"))
    compiled.update(3)
    assert counters["stats"]["unique_graphs"] == 1
    compiled.update(3)
    assert counters["stats"]["unique_graphs"] == 2
    theirs = eager.state()
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)
