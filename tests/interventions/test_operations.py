"""The closed forms of operations: Hare and Tortoise, shrink-and-perturb in its conventions, projection."""

from __future__ import annotations

import pytest
import torch
from dispatched import captured_without_code
from surgeon import Patient, intervention

from composer.training.compile.capture import Choice

SEEDS = "seeds=[0, 5]"
TORTOISE = "averages.tortoise={ of = 'critic', momentum = 0.9 }"
WEIGHT = "networks/critic/trunk.0.weight"


def before_and_after(do: str, *more: str, where: str = '["critic.*"]') -> tuple[Patient, dict[str, torch.Tensor]]:
    """A patient after three updates and a firing, and the state that a plain one has after the same updates."""
    plain, patient = Patient(SEEDS, *more), Patient(SEEDS, *more, intervention(do, where))
    plain.update(3)
    patient.update(3)
    return patient, plain.state()


def test_the_hare_becomes_its_tortoise_and_they_share_nothing() -> None:
    patient, _ = before_and_after("{ kind = 'lerp', toward = { kind = 'average', name = 'tortoise' } }", TORTOISE)
    critic, tortoise = patient.learner.networks["critic"], patient.learner.averages["tortoise"]
    for path, value in critic.parameters.items():
        assert torch.equal(value, tortoise.parameters[path])
    with torch.no_grad():
        critic.parameters["trunk.0.weight"].add_(1.0)
    assert not torch.equal(critic.parameters["trunk.0.weight"], tortoise.parameters["trunk.0.weight"])
    before = tortoise.parameters["trunk.0.weight"].clone()
    patient.update(1)
    torch.testing.assert_close(
        tortoise.parameters["trunk.0.weight"], 0.9 * before + 0.1 * critic.parameters["trunk.0.weight"].detach()
    )


def test_lerp_goes_its_share_of_the_way() -> None:
    patient, plain = before_and_after("{ kind = 'lerp', toward = { kind = 'initial' }, amount = 0.8 }")
    start = Patient(SEEDS).state()
    torch.testing.assert_close(patient.state()[WEIGHT], 0.2 * plain[WEIGHT] + 0.8 * start[WEIGHT])
    patient, _ = before_and_after("{ kind = 'lerp', toward = { kind = 'initial' } }", where='["*"]')
    now = patient.state()
    assert all(torch.equal(now[name], start[name]) for name in start if name.startswith("networks/"))
    patient, plain = before_and_after("{ kind = 'lerp', toward = { kind = 'zeros' }, amount = 0.25 }")
    torch.testing.assert_close(patient.state()[WEIGHT], 0.75 * plain[WEIGHT])


def test_shrink_and_perturb_adds_noise_of_its_size() -> None:
    patient, plain = before_and_after(
        "{ kind = 'perturb', keep = 0.6, noise = { kind = 'normal', std = 0.01 }, scale = 2.0 }"
    )
    noise = torch.cat(
        [
            (value - 0.6 * plain[name]).flatten()
            for name, value in patient.state().items()
            if name.startswith("networks/critic")
        ]
    )
    assert noise.std().item() == pytest.approx(0.02, rel=0.05)
    assert abs(noise.mean().item()) < 4 * 0.02 / noise.numel() ** 0.5
    assert len(noise.unique()) > 0.99 * noise.numel(), "every seed, copy and parameter has noise of its own"


def test_shrink_and_perturb_with_fresh_draws_is_a_lerp() -> None:
    """BBF's convention: half of what there is and half of a new draw, arXiv:2305.19452."""
    mixed, _ = before_and_after("{ kind = 'perturb', keep = 0.5, noise = { kind = 'fresh' }, scale = 0.5 }")
    moved, _ = before_and_after("{ kind = 'lerp', toward = { kind = 'fresh' }, amount = 0.5 }")
    torch.testing.assert_close(mixed.state()[WEIGHT], moved.state()[WEIGHT])


def test_projection_restores_norms_and_keeps_directions() -> None:
    patient, plain = before_and_after("{ kind = 'project', norm = 'initial' }", where='["critic.*weight"]')
    start, now = Patient(SEEDS).state()[WEIGHT].flatten(2), patient.state()[WEIGHT].flatten(2)
    torch.testing.assert_close(now.norm(dim=2), start.norm(dim=2))
    cosine = torch.nn.functional.cosine_similarity(now, plain[WEIGHT].flatten(2), dim=2)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    patient, _ = before_and_after("{ kind = 'project', norm = 'unit' }", where='["critic.*weight"]')
    torch.testing.assert_close(patient.state()[WEIGHT].flatten(2).norm(dim=2), torch.ones(2, 2))


def test_a_learned_number_is_a_parameter_too() -> None:
    patient, _ = before_and_after("{ kind = 'lerp', toward = { kind = 'initial' } }", where='["temperature.*"]')
    assert torch.equal(
        patient.state()["networks/temperature/value"], Patient(SEEDS).state()["networks/temperature/value"]
    )


@pytest.mark.slow
def test_the_compiled_update_survives_and_equals_the_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that resets and returns to an average need no new graph, and that its numbers follow."""
    from torch._dynamo.utils import counters

    declared = [
        SEEDS,
        TORTOISE,
        "interventions.reset={ when = { kind = 'at', steps = [2] }, where = ['critic.head.*', 'actor.*'], "
        "do = { kind = 'lerp', toward = { kind = 'fresh' } }, moments = 'zero', target = 'own' }",
        intervention("{ kind = 'lerp', toward = { kind = 'average', name = 'tortoise' } }", '["critic.*"]'),
    ]
    captured_without_code(monkeypatch)
    eager = Patient(*declared)
    eager.update(6)
    counters.clear()
    compiled = Patient(*declared, choice=Choice(True, "a test"))
    compiled.update(6)
    assert counters["stats"]["unique_graphs"] == 1
    theirs = eager.state()
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)


NORMED = "networks.critic.trunk=[{ kind = 'linear', width = 8 }, { kind = 'batch_norm' }, { kind = 'relu' }]"


def test_running_statistics_move_with_a_whole_network() -> None:
    """Hare and Tortoise cover the buffers of batch norm too; a full reset begins them anew."""
    mean = "trunk.1.running_mean"
    hare = "{ kind = 'lerp', toward = { kind = 'average', name = 'tortoise' } }"
    patient, plain = before_and_after(hare, NORMED, TORTOISE)
    critic, tortoise = patient.learner.networks["critic"], patient.learner.averages["tortoise"]
    assert mean in critic.buffers
    assert torch.equal(critic.buffers[mean], tortoise.buffers[mean])
    assert not torch.equal(critic.buffers[mean], plain[f"networks/critic/{mean}"])
    patient, plain = before_and_after("{ kind = 'lerp', toward = { kind = 'fresh' } }", NORMED)
    assert not patient.learner.networks["critic"].buffers[mean].any()
    assert plain[f"networks/critic/{mean}"].any()
    patient, plain = before_and_after(
        "{ kind = 'lerp', toward = { kind = 'fresh' } }", NORMED, where='["critic.head.*"]'
    )
    assert torch.equal(patient.learner.networks["critic"].buffers[mean], plain[f"networks/critic/{mean}"])


@pytest.mark.parametrize(
    "do",
    [
        "toward = { kind = 'initial' }, amount = 0.8",
        "toward = { kind = 'initial' }",
        "toward = { kind = 'fresh' }",
        "toward = { kind = 'average', name = 'tortoise' }",
    ],
)
@pytest.mark.parametrize("norm", ["batch_norm", "batch_renorm"])
def test_running_statistics_stay_where_they_are_kept(norm: str, do: str) -> None:
    """The released shrink-and-perturb of arXiv:2406.02596 loops over parameters, and leaves buffers alone."""
    normed = NORMED.replace("batch_norm", norm)
    for kept in (True, False):
        statistics = ", statistics = 'keep'" if kept else ""
        patient, plain = before_and_after(f"{{ kind = 'lerp', {do}{statistics} }}", normed, TORTOISE)
        critic = patient.learner.networks["critic"]
        for name in ("trunk.1.running_mean", "trunk.1.running_var"):
            assert torch.equal(critic.buffers[name], plain[f"networks/critic/{name}"]) is kept
        assert not torch.equal(critic.parameters["trunk.1.bias"], plain["networks/critic/trunk.1.bias"])


def test_the_part_of_the_released_shrink_and_perturb_keeps_statistics() -> None:
    override = "interventions.shrink={ use = 'shrink_and_perturb_initial', where = ['critic.*'], interval = 3 }"
    plain, patient = Patient(SEEDS, NORMED), Patient(SEEDS, NORMED, override)
    plain.update(3)
    patient.update(3)
    mean, weight = "networks/critic/trunk.1.running_mean", "networks/critic/trunk.0.weight"
    assert torch.equal(patient.state()[mean], plain.state()[mean])
    assert not torch.equal(patient.state()[weight], plain.state()[weight])
