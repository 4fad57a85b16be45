"""Penalties: L2 and L2 toward the first draw, arXiv:2308.11958, each a term of the loss of the seeds it is for."""

from __future__ import annotations

import pytest
import torch
from dispatched import captured_without_code
from surgeon import Patient
from tiny_runs import DRIFT, learner, tiny

from composer.blueprint import BlueprintError
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.penalties import L2, L2Init
from composer.training.compile.capture import Choice
from composer.training.penalty_terms import PenaltyTerms

SEEDS = "seeds=[0, 5]"


def test_terms_and_gradients_have_their_closed_form() -> None:
    agent = learner(SEEDS)
    parameters = {"critic": agent.networks["critic"].parameters}
    declared = {
        "a": L2(where=["critic.head.*weight"], coefficient=0.5),
        "b": L2Init(where=["critic.trunk.0.*"], coefficient=2.0),
    }
    terms = PenaltyTerms(declared, agent.outlines, parameters, Hyperparameters(len(agent.seeds), "cpu"))
    head, first = (parameters["critic"][path] for path in ("head.linear.weight", "trunk.0.weight"))
    start = first.detach().clone()
    with torch.no_grad():
        first.add_(torch.randn(first.shape, generator=torch.Generator().manual_seed(0)))
    base = torch.tensor([1.0, 2.0])
    loss = terms.add_to("critic", parameters["critic"], base)
    expected = base + 0.5 * head.square().sum((1, 2, 3)) + 2.0 * (first - start).square().sum((1, 2, 3))
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss.sum(), [head, first])
    torch.testing.assert_close(gradients[0], 2 * 0.5 * head)
    torch.testing.assert_close(gradients[1], 2 * 2.0 * (first - start))
    assert terms.add_to("actor", {}, base) is base


def test_a_strong_pull_keeps_a_network_where_it_began() -> None:
    free = Patient(SEEDS)
    pull = "penalties.pull={ kind = 'l2_init', where = ['critic.*'], coefficient = 1e4 }"
    pulled = Patient(SEEDS, pull, "optimizers.critic.weight_decay=0.0", "optimizers.critic.learning_rate=1e-4")
    start = pulled.state()
    for patient in (free, pulled):
        patient.update(30)
    name = "networks/critic/trunk.0.weight"
    assert (pulled.state()[name] - start[name]).abs().max() < 5e-4
    assert (free.state()[name] - start[name]).abs().max() > 5e-3
    assert pulled.addresses().keys() == free.addresses().keys(), "anchors are drawn again, not saved"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("penalties.p={ kind = 'l2', where = ['crtic.*'], coefficient = 1.0 }", "did you mean 'critic.*'?"),
        ("penalties.p={ kind = 'l2', where = ['critic.*'], coefficient = 0.0 }", "coefficient"),
    ],
)
def test_what_is_wrong_is_told(override: str, message: str) -> None:
    with pytest.raises(BlueprintError, match=message.replace("*", r"\*").replace("?", r"\?")):
        tiny(DRIFT, override)


@pytest.mark.slow
def test_compiled_and_eager_pulls_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone traces every penalty, and TRAC, inside an update, and compares its numbers."""
    captured_without_code(monkeypatch)
    declared = (
        SEEDS,
        "penalties.pull={ kind = 'l2_init', where = ['critic.*'], coefficient = 0.1 }",
        "penalties.shrink={ kind = 'l2', where = ['actor.*weight'], coefficient = 0.1 }",
        *(
            f"penalties.{kind}={{ kind = '{kind}', where = ['critic.*'], coefficient = 0.01 }}"
            for kind in ("parseval", "spectral", "wasserstein", "dr3", "feature_rank")
        ),
        "optimizers.critic={ kind = 'trac', base = { kind = 'adam', learning_rate = 1e-3 } }",
    )
    eager, compiled, free = Patient(*declared), Patient(*declared, choice=Choice(True, "a test")), Patient(SEEDS)
    for patient in (eager, compiled, free):
        patient.update(6)
    theirs = eager.state()
    for name, value in compiled.state().items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-4, atol=2e-5, msg=name)
    weight = "networks/actor/trunk.0.weight"
    assert not torch.equal(theirs[weight], free.state()[weight])
