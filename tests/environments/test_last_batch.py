"""The last batch of an epoch: dropped, or kept and smaller; counted, resumed, stacked and never compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_runs
import torch
from tiny_runs import EAGER, begin, finished, go_on, result, resumed, stopped
from torch import Tensor

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.one_program import obstacle
from composer.environments.labelled.phases import Phases
from composer.environments.labelled.task_sequence import TaskStream
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.collect.phase_batches import PhaseBatches
from composer.training.collect.task_stream import TaskBatches
from composer.training.learner import Learner

BLUEPRINTS = Path(__file__).parents[2] / "blueprints"
PICTURES = (
    "environment={ kind = 'phases', data = { kind = 'generated_images', samples = 50, held_out = 20, side = 8 }, "
    "last_batch = 'keep', augmentation = { crop = 2 }, "
    "phases = [{ epochs = 2, subset = 0.5, label_noise = 0.5 }, { epochs = 3 }] }",
    "networks.model.trunk=[{ kind = 'conv', width = 4, kernel = 3, bias = false }, { kind = 'batch_norm' }, "
    "{ kind = 'relu' }, { kind = 'dropout', rate = 0.1 }, { kind = 'global_average_pool' }]",
    "seeds=[3, 8]",
    "algorithm.batch_size=8",
    # 25 samples are batches of 8, 8, 8 and 1; 50 are six of 8 and one of 2.
    "training={ env_steps = 29, log_every = 5 }",
    "evaluation.every=8",
    "checkpoint.every=29",
    "tracking.kind='none'",
)


def tiny(*overrides: str) -> Blueprint:
    """The digits in phases, under overrides."""
    return load(BLUEPRINTS / "warm_start" / "digits.toml", overrides).blueprint


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helpers that make runs make them of this blueprint."""
    monkeypatch.setattr(tiny_runs, "tiny", tiny)


def test_an_epoch_of_a_phase_shows_every_sample_once_in_its_last_batch_too() -> None:
    environment = tiny(*PICTURES).environment
    assert isinstance(environment, Phases)
    data = PhaseBatches(environment, (0, 1), 8, "cpu")
    sizes = [data.at(index).reward.shape for index in range(8)]
    assert sizes == [(2, 8), (2, 8), (2, 8), (2, 1)] * 2
    indices = torch.cat([data._next(0, index) for index in range(4, 8)])
    assert sorted(indices.tolist()) == list(range(25))
    for seed in range(2):
        data.enter(seed, 1, 8)
    assert [data.at(index).reward.shape[1] for index in range(8, 15)] == [8] * 6 + [2]
    dropping = PhaseBatches(environment.model_copy(update={"last_batch": "drop"}), (0, 1), 8, "cpu")
    assert [dropping.at(index).reward.shape[1] for index in range(7)] == [8] * 7


@pytest.mark.parametrize("name", ["shuffled_labels", "permuted_inputs", "bit_flipping"])
def test_an_epoch_of_a_task_does_so_too(name: str) -> None:
    kept = load(
        BLUEPRINTS / "plasticity" / f"{name}.toml", ["environment.last_batch='keep'", "algorithm.batch_size=64"]
    )
    environment = kept.blueprint.environment
    assert isinstance(environment, TaskStream)
    assert environment.epoch_interactions(64) == 8 and environment.epochs_by(16, 64) == 2
    data = TaskBatches(environment, (0,), 64, "cpu")
    assert [data.at(index).reward.shape[1] for index in range(9)] == [64] * 7 + [52, 64]
    batches = [data.at(index).observation[0] for index in range(8)]
    assert torch.equal(*(torch.cat(each).sum(0).double().round() for each in (batches, [data.inputs[0]])))


def test_counts_of_updates_and_epochs_have_it() -> None:
    blueprint = tiny(*PICTURES)
    assert lengths_of(blueprint).epoch == 5
    with pytest.raises(BlueprintError, match="the phases last 24 updates, and the run 29"):
        tiny(*PICTURES, "environment.last_batch='drop'")


@pytest.mark.parametrize("at", [3, 4, 14, 15])
def test_a_run_stopped_beside_a_smaller_batch_is_resumed_exactly(at: int, runs: None, tmp_path: Path) -> None:
    whole, _ = finished(tmp_path / "whole", *PICTURES)
    run, parts = begin(tmp_path / "cut", *PICTURES)
    assert result(resumed(stopped(run, parts, at))) == result(whole)


def test_seeds_in_one_program_learn_from_smaller_batches_as_alone(runs: None, tmp_path: Path) -> None:
    _, both = finished(tmp_path / "both", *PICTURES)
    _, alone = finished(tmp_path / "alone", *PICTURES, "seeds=[8]")
    for path, value in alone.learner.networks["model"].tensors().items():
        theirs = both.learner.networks["model"].tensors()[path][1:]
        torch.testing.assert_close(theirs, value, msg=path, rtol=1e-5, atol=1e-6)


def test_one_size_is_compiled_whatever_the_number_of_sizes(runs: None, tmp_path: Path) -> None:
    chunks = "[{ chunks = 5, epochs = 1, label_noise = 0.5 }]"
    run, parts = begin(tmp_path, *PICTURES, f"environment.phases={chunks}", "training.env_steps=21")
    compiled, eager, learner = [], [], parts.learner
    update = learner.compute_update

    def note(sizes: list[int]) -> Any:
        def run(*tensors: Tensor, in_burst: bool = False) -> None:
            sizes.append(tensors[0].shape[1])
            update(*tensors, in_burst=in_burst)

        return run

    learner.captured, learner.compute_update = [note(compiled)], note(eager)  # type: ignore[method-assign]
    go_on(parts)
    run.close()
    # Chunks of 10, 20, 30, 40 and 50.
    assert set(compiled) == {8} and eager == [2, 4, 6, 2]


def test_runs_in_one_program_learn_from_smaller_batches_as_alone(runs: None, tmp_path: Path) -> None:
    faster = tiny(*PICTURES, "optimizers.model.learning_rate=1e-2", "seeds=[5]")
    members = [assemble.NewRun("base", tiny(*PICTURES)), assemble.NewRun("faster", faster, "faster")]
    together = assemble.start_together(members, tmp_path / "together")
    together.train(Console(29, enabled=False))
    for beside, overrides in zip(
        together.runs, ((), ("optimizers.model.learning_rate=1e-2", "seeds=[5]")), strict=True
    ):
        _, alone = finished(tmp_path / "alone", *PICTURES, *overrides)
        for path, value in alone.learner.networks["model"].tensors().items():
            theirs = beside.session.learner.networks["model"].tensors()[path]
            torch.testing.assert_close(theirs, value, msg=path, rtol=1e-4, atol=1e-5)
        beside.session.close()
        beside.run.close()


@pytest.mark.slow
def test_a_compiled_run_takes_smaller_batches(runs: None, tmp_path: Path) -> None:
    """Alone compiles an update and hands it an epoch whose last batch is smaller."""
    import torch._dynamo

    torch._dynamo.reset()
    _, eager = finished(tmp_path / "e", *PICTURES, "compute.compile='never'")
    _, parts = finished(tmp_path / "c", *PICTURES, "compute.compile='always'")
    for path, value in eager.learner.networks["model"].tensors().items():
        torch.testing.assert_close(parts.learner.networks["model"].tensors()[path], value, rtol=1e-3, atol=1e-4)


def test_where_seeds_may_differ_in_size_it_is_refused() -> None:
    stop = "environment.phases=[{ updates = 8, subset = 0.5, early_stopping = { patience = 1, every = 3 } }, {}]"
    with pytest.raises(BlueprintError, match="seeds may be in different phases, whose last batches differ in size"):
        tiny(*PICTURES, stop)
    alone = tiny(*PICTURES, stop, "seeds=[3]")
    assert (obstacle(alone, alone) or "").startswith("environment.last_batch is 'keep' where phases may end early")
    assert tiny(*PICTURES, stop, "environment.last_batch='drop'").environment.stages_differ_by_seed


def test_runs_of_one_program_have_the_same_sizes() -> None:
    first = tiny(*PICTURES)
    assert obstacle(first, tiny(*PICTURES, "environment.phases=[{ epochs = 2, subset = 0.5 }, { epochs = 3 }]")) is None
    dropping = ("environment.last_batch='drop'", "environment.phases=[{ updates = 8 }, {}]")
    assert obstacle(first, tiny(*PICTURES, *dropping)) is not None


def test_a_phase_smaller_than_a_batch_is_one_batch_where_it_is_kept() -> None:
    Learner(tiny(*PICTURES).agent, "cpu", EAGER)
    few = "environment.phases=[{ epochs = 9, subset = 0.1 }, { updates = 20 }]"
    environment = tiny(*PICTURES, few).environment
    assert isinstance(environment, Phases)
    assert PhaseBatches(environment, (0,), 8, "cpu").at(3).reward.shape == (1, 5)
    with pytest.raises(BlueprintError, match="5 samples, and a batch takes 8"):
        tiny(*PICTURES, few, "environment.last_batch='drop'")
