"""Averages of averages: each follows what it names, in the order in which they are declared."""

from __future__ import annotations

import pytest
import torch
from encoded import agent
from tiny_runs import transitions

from composer.blueprint import BlueprintError
from composer.optim.averages import Average, averaged_networks, circles

WEIGHT = "trunk.weight"


def average(of: str) -> Average:
    return Average.model_validate({"of": of, "momentum": 0.5})


@pytest.mark.parametrize("is_first", [True, False])
def test_an_average_of_an_average_follows_it_in_declared_order(is_first: bool) -> None:
    target, slow = "target = { of = 'critic', momentum = 0.75 }", "slow = { of = 'target', momentum = 0.5 }"
    learner = agent(f"averages={{ {target}, {slow} }}" if is_first else f"averages={{ {slow}, {target} }}")
    first = learner.networks["critic"].parameters[WEIGHT].detach().clone()
    means = {"target": first, "slow": first}
    assert torch.equal(learner.averages["slow"].parameters[WEIGHT], first)
    for step in range(3):
        learner.update(transitions(learner, step))
        now = learner.networks["critic"].parameters[WEIGHT].detach()
        before = means["target"]
        means["target"] = 0.75 * before + 0.25 * now
        means["slow"] = 0.5 * means["slow"] + 0.5 * (means["target"] if is_first else before)
        for name, expected in means.items():
            torch.testing.assert_close(learner.averages[name].parameters[WEIGHT], expected)
    assert {name: role for name, (role, _) in learner.averaged_roles().items()} == {
        "target": "critic",
        "slow": "critic",
    }


def test_an_optional_target_may_be_left_out() -> None:
    learner = agent()
    learner.update(transitions(learner))
    with pytest.raises(BlueprintError, match="'target' averages 'critic', got 'actor'"):
        agent("averages={ target = { of = 'actor', momentum = 0.5 } }")


def test_circles_are_refused() -> None:
    with pytest.raises(BlueprintError, match="an average cannot follow from itself: 'slow' of 'late' of 'slow'"):
        agent("averages={ slow = { of = 'late', momentum = 0.5 }, late = { of = 'slow', momentum = 0.5 } }")
    found = {"a": average("b"), "b": average("a"), "c": average("a"), "d": average("critic")}
    assert dict(circles(found)) == {"a": ["a", "b", "a"], "b": ["b", "a", "b"]}
    assert averaged_networks(found) == {"d": "critic"}
