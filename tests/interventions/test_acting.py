"""Which network acts and which is evaluated: Hare or Tortoise, declared."""

from __future__ import annotations

import pytest
import torch
from surgeon import Patient
from tiny_runs import DRIFT, tiny

from composer.blueprint import BlueprintError

SLOW = "averages.slow={ of = 'actor', momentum = 0.5 }"
ACTS, JUDGED = "training.acting={ actor = 'slow' }", "evaluation.acting={ actor = 'slow' }"
OBSERVATION = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))


def answers(*overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What is done while collecting and in an evaluation, after some updates."""
    patient = Patient("seeds=[0, 5]", SLOW, *overrides)
    patient.update(5)
    return patient.learner.act(OBSERVATION), patient.learner.act(OBSERVATION, explore=False)


def test_each_is_declared_for_itself() -> None:
    plain, acting, judged = answers(), answers(ACTS), answers(JUDGED)
    assert torch.equal(plain[1], acting[1]) and not torch.equal(plain[0], acting[0])
    assert torch.equal(plain[0], judged[0]) and not torch.equal(plain[1], judged[1])


def test_it_is_the_average_that_acts() -> None:
    patient = Patient("seeds=[0, 5]", SLOW, JUDGED)
    patient.update(3)
    mean, _ = patient.learner.averages["slow"](patient.learner.normalised(OBSERVATION))
    torch.testing.assert_close(patient.learner.act(OBSERVATION, explore=False), mean[:, 0].tanh())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.acting={ actor = 'slw' }", "no average named 'slw'"),
        (
            "training.acting={ actor = 'target_critic' }",
            "'target_critic' averages 'critic', and cannot act for 'actor'",
        ),
    ],
)
def test_what_cannot_act_is_told(override: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, SLOW, override)
    assert message in str(caught.value)
