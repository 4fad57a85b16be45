"""DreamerV3 as a workload: an update of this project's, its products, and the same networks in TorchRL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.speed.candidate import FLOOR
from benchmarks.speed.workloads.catalogue import WORKLOADS

NAMED: dict[str, Any] = {workload.name: workload for workload in WORKLOADS}
SIZES = ("algorithm.batch_size=2", "algorithm.sequence=4", "algorithm.horizon=2")
TINY = replace(NAMED["dreamer"], overrides=SIZES, rows=600)


def candidate(name: str) -> Any:
    return next(each for each in TINY.candidates((1,)) if name in each.name)


def test_an_update_learns_from_sequences_and_its_products_are_all_recorded() -> None:
    subject = TINY.build(candidate("eager"))
    weight = subject.learner.networks["dynamics"].parameters
    before = {path: value.detach().clone() for path, value in weight.items()}
    subject.call()
    assert any(not torch.equal(value, before[path]) for path, value in weight.items())
    floor = TINY.build(FLOOR)
    floor.call()
    assert floor.flops() == subject.flops() > 0


@pytest.mark.slow
def test_torchrl_has_networks_of_the_same_sizes_and_learns() -> None:
    """Alone compares TorchRL's networks with ours, where TorchRL is installed."""
    theirs = candidate("TorchRL")
    if theirs.absent() is not None:
        pytest.skip("TorchRL is not installed")
    subject, own = TINY.build(theirs), TINY.build(candidate("eager"))
    assert subject.parameters() == own.parameters()
    before = [value.detach().clone() for value in subject._loss.parameters()]
    subject.call()
    moved = [not torch.equal(value, old) for value, old in zip(subject._loss.parameters(), before, strict=True)]
    assert all(moved)
