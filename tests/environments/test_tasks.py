"""Labelled data: what a task holds, in which order it comes, and that all of it follows from the count of batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import EAGER, begin, finished, result, resumed, rows, stopped

from composer.blueprint import BlueprintError, load
from composer.environments.labelled.datasets import Digits, Noise
from composer.environments.labelled.task_sequence import TaskSequence
from composer.training.collect.task_stream import TaskBatches, TaskEvaluator
from composer.training.learner import Learner

SHUFFLED = Path(__file__).parents[2] / "blueprints" / "plasticity" / "shuffled_labels.toml"
SMALL = (
    "seeds=[3, 8]",
    "environment.data.samples=47",
    "environment.task_updates=8",
    "algorithm.batch_size=10",
    "training={ env_steps = 30, log_every = 7 }",
    "evaluation.every=8",
    "checkpoint.every=11",
    "tracking.kind='none'",
)


def sequence(change: str, samples: int = 47) -> TaskSequence:
    return TaskSequence.model_validate(
        {"data": {"kind": "digits", "samples": samples}, "change": change, "task_updates": 8}
    )


def test_digits_are_as_they_are_told() -> None:
    data = Digits(samples=100)
    inputs, labels = data.load(0)
    assert inputs.shape == (data.info.size, *data.info.shape) and inputs.dtype == np.float32
    assert inputs.min() == 0 and inputs.max() == 1
    assert set(labels.tolist()) == set(range(data.info.classes))
    assert np.array_equal(data.load(5).inputs, inputs)


def test_noise_is_a_seeds_own() -> None:
    data = Noise(samples=4000, width=8, labels=5)
    one, again, other = data.load(1), data.load(1), data.load(2)
    assert np.array_equal(one.inputs, again.inputs) and np.array_equal(one.labels, again.labels)
    assert not np.array_equal(one.inputs, other.inputs)
    assert one.inputs.std() == pytest.approx(1, abs=0.02)
    assert np.bincount(one.labels, minlength=5).min() > 700


@pytest.mark.parametrize("change", ["labels", "inputs", "nothing"])
def test_what_changes_from_task_to_task(change: str) -> None:
    environment = sequence(change)
    samples = environment.data.load(0)
    first, second, other = (environment.samples_of(samples, s, n) for s, n in ((0, 0), (0, 1), (1, 0)))
    same_inputs, same_labels = change != "inputs", change != "labels"
    for left, right in ((first, second), (first, other)):
        assert np.array_equal(left.inputs, right.inputs) is same_inputs
        assert np.array_equal(left.labels, right.labels) is same_labels
    again = environment.samples_of(samples, 0, 1)
    assert np.array_equal(again.inputs, second.inputs) and np.array_equal(again.labels, second.labels)
    if change == "inputs":
        assert np.array_equal(np.sort(first.inputs, 1), np.sort(second.inputs, 1)), "the same values, elsewhere"
        columns = {tuple(column) for column in first.inputs.T}
        assert columns == {tuple(column) for column in second.inputs.T}, "one permutation for all samples"


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own() -> None:
    tasks = TaskBatches(sequence("nothing", samples=50), (0, 1), 10, "cpu")
    orders = []
    for epoch in range(2):
        batches = [tasks.at(epoch * 5 + index) for index in range(5)]
        seen = torch.cat([batch.observation for batch in batches], 1)
        assert seen.shape == (2, 50, 64)
        everything, labels = tasks.inputs, tasks.labels
        for seed in range(2):
            assert torch.equal(seen[seed].unique(dim=0), everything[seed].unique(dim=0))
        orders.append(seen)
        assert all(torch.equal(batch.action.sum(-1), torch.ones(2, 10)) for batch in batches)
        joined = torch.cat([batch.action for batch in batches], 1)
        at = [(everything[0] == row).all(1).nonzero()[0, 0] for row in seen[0]]
        assert torch.equal(joined[0].argmax(-1), labels[0][at])
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[0][0], orders[0][1])
    assert torch.equal(tasks.at(3).observation, orders[0][:, 30:40]), "any batch again, without what came before"


def test_another_sequence_is_other_tasks_and_orders_of_the_same_data() -> None:
    def tasks(number: int) -> TaskBatches:
        declared = sequence("labels").model_copy(update={"sequence": number})
        return TaskBatches(declared, (0, 1), 10, "cpu")

    first, same, other = tasks(0), tasks(0), tasks(1)
    assert torch.equal(first.at(0).observation, same.at(0).observation)
    assert not torch.equal(first.at(0).observation, other.at(0).observation)
    assert torch.equal(first.inputs, other.inputs) and not torch.equal(first.labels, other.labels)


def test_a_run_learns_and_its_examination_is_on_the_present_task(tmp_path: Path) -> None:
    blueprint = load(SHUFFLED, [*SMALL, "training.env_steps=300", "environment.task_updates=150"]).blueprint
    from composer.tracking.console import Console
    from composer.training import assemble
    from composer.training.loop import train

    run, parts = assemble.start(blueprint, tmp_path, None)
    outcome = train(parts, Console(300, enabled=False))
    parts.close()
    run.close()
    assert outcome.updates == outcome.env_steps == 300
    metrics = [row["metrics"] for row in rows(run.path) if row["type"] == "metrics"]
    accuracies = [row["evaluation/accuracy"] for row in metrics if "evaluation/accuracy" in row]
    assert min(accuracies[-2:]) > 0.35, "labels of chance are memorised: chance is 0.1"
    examiner = TaskEvaluator(blueprint.environment, blueprint.seeds, 10, "cpu")  # type: ignore[arg-type]
    assert examiner.returns(parts.learner, 300).tolist() == outcome.returns
    before = examiner.returns(parts.learner, 150).mean()
    assert before < np.mean(outcome.returns), "the labels of the task before are no longer known"


def test_seeds_together_are_the_same_as_alone() -> None:
    def learned(seeds: str) -> Learner:
        blueprint = load(SHUFFLED, [*SMALL, f"seeds={seeds}"]).blueprint
        learner = Learner(blueprint.agent, "cpu", EAGER)
        tasks = TaskBatches(blueprint.environment, blueprint.seeds, 10, "cpu")  # type: ignore[arg-type]
        for index in range(20):
            learner.update(tasks.at(index))
        return learner

    together = learned("[3, 8]").networks["model"].parameters
    for index, seed in enumerate((3, 8)):
        for path, value in learned(f"[{seed}]").networks["model"].parameters.items():
            torch.testing.assert_close(together[path][index], value[0], rtol=1e-4, atol=1e-5, msg=path)


def test_resume_is_exact_in_the_middle_of_a_task(tmp_path: Path) -> None:
    import tiny_runs

    reset = "interventions.hare={ when = { kind = 'every', interval = 2, clock = 'epoch' }, where = ['model.head.*'], "
    declared = (*SMALL, reset + "do = { kind = 'lerp', toward = { kind = 'fresh' } } }")

    def tiny(*overrides: str) -> object:
        return load(SHUFFLED, overrides).blueprint

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_runs, "tiny", tiny)
        run, _ = finished(tmp_path / "whole", *declared)
        events = [row["at"] for row in rows(run) if row["type"] == "event" and row["seed"] == 3]
        assert events == [{"epoch": 2}, {"epoch": 4}, {"epoch": 6}], "47 samples are four batches of ten"
        for at in (3, 8, 13, 21):
            assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "environment={ kind = 'dm_control', task = 'walker-walk' }",
            "supervised learning needs labelled data, got 'dm_control'",
        ),
        ("networks.model.head.classes=9", "9 classes, and the data have 10"),
        (
            "networks.model.head={ kind = 'scalar' }",
            "model needs a head that gives 'class_logits'",
        ),
        ("networks.model.copies=2", "supervised learning has one model, got 2"),
        ("environment.data.samples=1798", "must be in 1 to 1,797, got 1,798"),
        ("environment.data.kind='digit'", "did you mean 'digits'?"),
        ("algorithm.n_step=3", "unknown key"),
    ],
)
def test_what_does_not_fit_is_told(override: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        load(SHUFFLED, [override])
    assert message in str(caught.value)
