"""Data in phases: what each holds, in which order, when the next one begins, how pictures are changed on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_runs
import torch
from pydantic import ValidationError
from tiny_runs import EAGER, begin, finished, interactions, result, resumed, rows, stopped
from torch import Tensor

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.timeline import timeline
from composer.environments.labelled.phases import Phases
from composer.training.collect import phase_stream as collectors
from composer.training.collect.phase_batches import HeldOutData, PhaseBatches
from composer.training.collect.phase_stream import HeldOutEvaluator, PhaseCollector, held_out_loss
from composer.training.learner import Learner
from composer.training.runs.directory import read_blueprint

DIGITS = Path(__file__).parents[2] / "blueprints" / "warm_start" / "digits.toml"
PICTURES = (
    "environment={ kind = 'phases', data = { kind = 'generated_images', samples = 90, held_out = 40, side = 8 }, "
    "augmentation = { crop = 2 }, phases = [{ updates = 12, subset = 0.4, label_noise = 0.5, "
    "early_stopping = { patience = 2, every = 3 } }, { epochs = 2, subset = 0.7 }, {}] }",
    "networks.model.trunk=[{ kind = 'conv', width = 4, kernel = 3 }, { kind = 'batch_norm' }, { kind = 'relu' }, "
    "{ kind = 'global_average_pool' }]",
    "seeds=[3, 8]",
    "algorithm.batch_size=10",
    "training={ env_steps = 40, log_every = 5 }",
    "evaluation.every=8",
    "checkpoint.every=11",
    "tracking.kind='none'",
)
SHRINK = "interventions.shrink={ use = 'shrink_and_perturb_initial', interval = 1, clock = 'phase', amount = 0.8 }"


def tiny(*overrides: str) -> Blueprint:
    """The digits in phases, under overrides."""
    return load(DIGITS, overrides).blueprint


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helpers that make runs make them of this blueprint."""
    monkeypatch.setattr(tiny_runs, "tiny", tiny)


def phases(*tables: dict[str, Any], samples: int = 200, **keys: Any) -> Phases:
    """Digits in phases."""
    data = {"kind": "digits", "samples": samples, "held_out": 60}
    return Phases.model_validate({"data": data, "phases": list(tables), **keys})


def held(data: PhaseBatches, seed: int) -> set[int]:
    """Which samples the present phase of a seed holds."""
    return set(data._phases[seed].indices.tolist())


# What a phase holds


def test_a_subset_is_part_of_every_larger_one_and_a_seeds_own() -> None:
    data = PhaseBatches(phases({"updates": 5, "subset": 0.1}, {"updates": 5, "subset": 0.45}, {}), (0, 1), 10, "cpu")
    found = []
    for number in range(3):
        for seed in range(2):
            data.enter(seed, number, 0)
        found.append([held(data, seed) for seed in range(2)])
    assert [len(one[0]) for one in found] == [20, 90, 200]
    for seed in range(2):
        assert found[0][seed] < found[1][seed] < found[2][seed] == set(range(200))
    assert found[0][0] != found[0][1]


def test_label_noise_makes_an_exact_share_wrong_and_anew_at_each_phase() -> None:
    noise = {"updates": 5, "subset": 0.5, "label_noise": 0.3}
    data = PhaseBatches(phases(noise, noise, {}, samples=1_400), (0, 1), 10, "cpu")
    right, seen = data._labels, []
    for number in range(3):
        for seed in range(2):
            data.enter(seed, number, 0)
        seen.append([(each.indices, each.labels) for each in data._phases])
    for seed in range(2):
        wrong = [(labels != right[seed][indices]) for indices, labels in (one[seed] for one in seen)]
        assert [int(each.sum()) for each in wrong] == [210, 210, 0]
        assert not torch.equal(wrong[0], wrong[1])
        # Each of the nine other classes is as likely: counts of a multinomial, 210 / 9 each.
        indices, labels = seen[0][seed]
        moved = ((labels - right[seed][indices]) % 10)[wrong[0]].bincount(minlength=10)
        assert moved[0] == 0 and moved[1:].min() > 8 and moved[1:].max() < 45
    assert not torch.equal(seen[0][0][1], seen[0][1][1])


def test_an_epoch_shows_every_sample_of_a_phase_once_in_an_order_of_its_own() -> None:
    data = PhaseBatches(phases({"epochs": 3, "subset": 0.2}, {}), (0, 1), 10, "cpu")
    orders = [torch.cat([data._next(0, 4 * epoch + index) for index in range(4)]) for epoch in range(3)]
    assert all(sorted(order.tolist()) == list(range(40)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert torch.equal(data._next(0, 5), orders[1][10:20]), "any batch again, without what came before"
    assert not torch.equal(data._next(1, 5), orders[1][10:20])
    batch = data.at(5)
    indices = data._phases[0].indices[orders[1][10:20]]
    assert torch.equal(batch.observation[0], data._inputs[0][indices])
    assert torch.equal(batch.action[0].argmax(-1), data._labels[0][indices]) and batch.action.sum() == 20


def test_classes_and_permutations_are_switches_of_task() -> None:
    declared = phases({"updates": 5, "classes": [2, 7]}, {"permutation": 1, "label_noise": 0.0}, samples=400)
    data = PhaseBatches(declared, (0, 1), 10, "cpu")
    labels = data._labels[0]
    assert held(data, 0) == set(((labels == 2) | (labels == 7)).nonzero().flatten().tolist())
    plain = data.newest(10, 1, torch.zeros(2)).observation
    for seed in range(2):
        data.enter(seed, 1, 5)
    order = data._phases[0].permutation
    assert order is not None and sorted(order.tolist()) == list(range(64))
    permuted = data.newest(10, 1, torch.zeros(2)).observation
    # The subset of everything begins with another sample: compare each sample with itself.
    first = data._phases[0].indices[0]
    assert torch.equal(permuted[0, 0], data._inputs[0, first][order])
    assert not torch.equal(data._phases[0].permutation, data._phases[1].permutation) and plain.shape == permuted.shape  # type: ignore[arg-type]
    noisy = PhaseBatches(
        phases({"updates": 5, "classes": [7, 2], "label_noise": 1.0}, {}, samples=400), (0,), 10, "cpu"
    )
    indices, given = noisy._phases[0].indices, noisy._phases[0].labels
    assert torch.equal(given, 9 - noisy._labels[0][indices]), "the wrong one of two classes is the other"


def test_what_seeds_share_lies_on_the_device_once_and_bytes_stay_bytes() -> None:
    made = {"kind": "generated_images", "samples": 40, "held_out": 20, "side": 8}
    data = PhaseBatches(Phases.model_validate({"data": made, "phases": [{}]}), (0, 1, 2), 10, "cpu")
    assert data._inputs.dtype == torch.uint8 and data._inputs.shape == (3, 40, 3, 8, 8)
    assert data._inputs.untyped_storage().nbytes() == 40 * 3 * 64
    assert data.at(0).observation.dtype == torch.float32


# Where phases begin


def test_the_arithmetic_of_the_published_warm_start_and_chunks() -> None:
    """10 % of CIFAR for 1,000 epochs of 20 batches of 256 or fewer, all for 111 of 196; ten cumulative chunks."""
    root = DIGITS.parent
    environment = load(root / "resnet18.toml").blueprint.environment
    assert isinstance(environment, Phases)
    assert environment.starts(256) == (0, 20_000)
    counts = {19: 0, 20: 1, 19_999: 999, 20_000: 1_000, 20_195: 1_000, 20_196: 1_001, 41_756: 1_111}
    assert {n: environment.epochs_by(n, 256) for n in counts} == counts
    assert [environment.epoch_end(n, 256) for n in (1, 1_000, 1_001)] == [20, 20_000, 20_196]
    assert [tuple(each) for each in environment.smaller_batches(256)] == [(0, 20, 136), (20_000, 196, 80)]
    assert load(root / "vgg16.toml").blueprint.training.env_steps == 83_401 == 1_000 * 40 + 111 * 391
    chunks = load(root / "resnet18.toml", [], "chunks").blueprint
    plan = chunks.environment.plan  # type: ignore[attr-defined]
    assert [round(phase.subset, 10) for phase in plan] == [k / 10 for k in range(1, 11)]
    assert [phase.noise(0) for phase in plan] == [0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0]
    assert chunks.training.env_steps == sum(-(-5_000 * k // 256) * 100 for k in range(1, 11)) == 108_000
    assert lengths_of(chunks).phase == 9 and lengths_of(chunks).epoch == 1_000


def test_epochs_of_the_loop_are_those_of_the_plan(runs: None, tmp_path: Path) -> None:
    three = "[{ epochs = 2, subset = 0.2 }, { updates = 7, subset = 0.5 }, {}]"
    declared = ("environment.data.samples=100", f"environment.phases={three}", "algorithm.batch_size=10", *PICTURES[4:])
    every = "interventions.fresh_optimizer.when={ kind = 'every', interval = 1, clock = 'epoch' }"
    run, _ = finished(tmp_path, *declared, "seeds=[0]", every)
    blueprint = read_blueprint(run)
    # Two epochs of 2 batches, one whole epoch of 5 among 7, then epochs of 10 from batch 11 on: 21, 31.
    fired = [row["env_step"] for row in rows(run) if row["type"] == "event"]
    assert fired == [2, 4, 9, 21, 31]
    planned = [moment.env_step for moment in timeline(blueprint) if moment.key == "interventions.fresh_optimizer"]
    assert planned == [2]
    assert [blueprint.environment.epoch_end(number, 10) for number in (1, 2, 3, 4, 5)] == [2, 4, 9, 21, 31]


def test_what_waits_for_a_phase_fires_after_the_evaluation_and_before_its_first_update(
    runs: None, tmp_path: Path
) -> None:
    declared = ("environment.phases=[{ updates = 8, subset = 0.5 }, { updates = 8, subset = 0.7 }, {}]", *PICTURES[2:])
    reset = "interventions.fresh_optimizer.when={ kind = 'at', steps = [2], clock = 'phase' }"
    run, parts = begin(tmp_path, *declared, reset, SHRINK, "training.env_steps=24")
    model, first = parts.learner.networks["model"], {}
    for path, value in parts.learner.networks["model"].parameters.items():
        first[path] = value.detach().clone()
    steps = interactions(parts)
    for _ in range(8):
        next(steps)
    before = {path: value.detach().clone() for path, value in model.parameters.items()}
    at_switch: dict[str, Tensor] = {}
    batch = parts.collector.batch

    def watched() -> Any:
        if not at_switch:
            at_switch.update({path: value.detach().clone() for path, value in model.parameters.items()})
        return batch()

    parts.collector.batch = watched  # type: ignore[method-assign]
    next(steps)
    for path, value in at_switch.items():
        torch.testing.assert_close(value, 0.2 * before[path] + 0.8 * first[path], msg=path)
    for _ in range(15):
        next(steps)
    parts.journal.flush()
    events = [
        (row["name"], row["seed"], row["at"], row["env_step"]) for row in rows(run.path) if row["type"] == "event"
    ]
    once = [("shrink", seed, {"phase": 1}, 8) for seed in (3, 8)]
    twice = [(name, seed, {"phase": 2}, 16) for name in ("fresh_optimizer", "shrink") for seed in (3, 8)]
    assert events == once + twice
    parts.close()
    run.close()


def test_show_lists_phases_and_what_fires_between_them() -> None:
    lines = [(moment.env_step, moment.event) for moment in timeline(tiny(SHRINK))]
    assert (0, "phase 1 of 2: 10 % of 1,437 samples, 50 % of labels wrong") in lines
    assert (500, "phase 2 of 2: 100 % of 1,437 samples") in lines
    assert any(step == 500 and event.startswith("shrink: lerp toward initial, amount 0.8") for step, event in lines)


def test_augmentation_follows_from_the_number_of_the_batch(runs: None) -> None:
    blueprint = tiny(*PICTURES)
    one, other = (PhaseBatches(blueprint.environment, (3, 8), 10, "cpu") for _ in range(2))  # type: ignore[arg-type]
    batches = [one.at(index).observation for index in range(6)]
    assert torch.equal(other.at(4).observation, batches[4])
    alone = PhaseBatches(blueprint.environment, (8,), 10, "cpu")  # type: ignore[arg-type]
    assert torch.equal(alone.at(4).observation[0], batches[4][1])
    # The same samples come again three batches later (36 of 90, batches of ten), changed in another way.
    assert not any(torch.equal(a, b) for a in batches[0][0] for b in (row for batch in batches[3:] for row in batch[0]))


# Early stopping


def scripted(blueprint: Blueprint, losses: list[list[float]], patch: pytest.MonkeyPatch) -> list[list[int]]:
    """Phases of each seed before every batch, where held-out losses are read off a script."""
    environment = blueprint.environment
    assert isinstance(environment, Phases)
    learner = Learner(blueprint.agent, "cpu", EAGER)
    readings = iter(losses)
    patch.setattr(collectors, "held_out_loss", lambda *_: torch.tensor(next(readings), dtype=torch.float64))
    stream, found = PhaseCollector(environment, learner), []
    switches: list[tuple[list[bool], int]] = []
    stream.switched = lambda seeds, number: switches.append((seeds.tolist(), number))
    for index in range(40):
        stream.interact(index)
        found.append([int(row["training/phase"]) for row in stream.metrics()])
    assert next(readings, None) is None
    before, expected = [1] * len(found[0]), []
    for now in found:
        moved = [a != b for a, b in zip(before, now, strict=True)]
        expected += [
            ([m and n == to for m, n in zip(moved, now, strict=True)], to - 1)
            for to in (2, 3)
            if any(m and n == to for m, n in zip(moved, now, strict=True))
        ]
        before = now
    assert switches == expected, "only the seeds that switch are told"
    return [[row[seed] for row in found] for seed in range(len(found[0]))]


def test_a_phase_ends_when_its_patience_does_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every 3 updates with patience 2. Seed 0 falls, then rises twice: over at 9; seed 1 keeps falling to 12."""
    losses = [[1.0, 9.0], [1.1, 8.0], [1.0, 7.0], [0.1, 6.0]]
    one, two = scripted(tiny(*PICTURES), losses, monkeypatch)
    # Phase 2 is two epochs of 63 samples, six batches of ten each: 12 updates, from wherever it begins.
    assert one == [1] * 9 + [2] * 12 + [3] * 19
    assert two == [1] * 12 + [2] * 12 + [3] * 16


def test_a_new_best_restores_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = PICTURES[0].replace("updates = 12", "updates = 30")
    losses = [[5.0, 1.0], [6.0, 2.0], [4.0, 3.0], [4.5, 3.0], [4.0, 3.0]]
    one, two = scripted(tiny(longer, *PICTURES[1:], "training.env_steps=60"), losses, monkeypatch)
    assert one.index(2) == 15 and two.index(2) == 9, "an equal loss is no better"


def test_each_phase_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience 1 twice: the second phase falls from a loss that would have ended the first."""
    stop = "updates = 9, early_stopping = { patience = 1, every = "
    two = f"environment.phases=[{{ {stop} 4 }} }}, {{ {stop} 3 }} }}, {{}}]"
    losses = [[1.0], [2.0], [5.0], [4.0], [4.5]]
    (one,) = scripted(tiny(*PICTURES, two, "seeds=[3]"), losses, monkeypatch)
    assert one == [1] * 8 + [2] * 9 + [3] * 23, "over at 8; read again after 3, 6 and, too late to matter, 9"


def test_the_held_out_loss_is_the_cross_entropy_on_what_is_held_out() -> None:
    blueprint = tiny("seeds=[0, 1]", "environment.data={ kind = 'digits', samples = 700, held_out = 613 }")
    environment = blueprint.environment
    assert isinstance(environment, Phases)
    learner = Learner(blueprint.agent, "cpu", EAGER)
    samples = environment.data.load_held_out(0)
    inputs, labels = torch.from_numpy(samples.inputs).expand(2, -1, -1), torch.from_numpy(samples.labels)
    logits = learner.act(inputs, explore=False)
    expected = torch.stack([torch.nn.functional.cross_entropy(row.double(), labels) for row in logits])
    got = held_out_loss(learner, HeldOutData(environment, (0, 1), "cpu"), environment.plan[0])
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
    right = (logits.argmax(-1) == labels).double().mean(1, keepdim=True)
    examined = HeldOutEvaluator(environment, (0, 1), 32, "cpu").returns(learner, 3)
    np.testing.assert_allclose(examined, right.numpy())


def test_an_examination_is_of_the_classes_of_the_present_phase() -> None:
    two = "environment.phases=[{ updates = 4, classes = [3, 5] }, { classes = [1] }]"
    blueprint = tiny("seeds=[0]", two, "interventions.fresh_optimizer.when.clock='update'")
    environment = blueprint.environment
    assert isinstance(environment, Phases)

    class Stub:
        seeds = (0,)

        def act(self, inputs: Tensor, explore: bool) -> Tensor:
            return torch.nn.functional.one_hot(torch.full(inputs.shape[:2], 3), 10).float()

    labels = environment.data.load_held_out(0).labels
    examiner = HeldOutEvaluator(environment, (0,), 32, "cpu")
    threes, fives = int((labels == 3).sum()), int((labels == 5).sum())
    assert examiner.returns(Stub(), 4).item() == pytest.approx(threes / (threes + fives))  # type: ignore[arg-type]
    assert examiner.returns(Stub(), 5).item() == 0  # type: ignore[arg-type]


# Whole runs


@pytest.mark.slow
def test_resume_is_exact_through_phases_augmentation_and_early_stopping(runs: None, tmp_path: Path) -> None:
    """Alone resumes a run whose seeds are in different phases."""
    declared = (*PICTURES, SHRINK, "optimizers.model.learning_rate=0.05")
    run, _ = finished(tmp_path / "whole", *declared)
    found = rows(run)
    switched = {(row["seed"], row["env_step"]) for row in found if row["type"] == "event" and row["name"] == "shrink"}
    starts = [sorted(step for seed, step in switched if seed == wanted) for wanted in (3, 8)]
    assert all(len(one) == 2 for one in starts)
    assert min(one[0] for one in starts) < 12, "at least one phase ended early, or nothing is tested"
    assert any("training/held_out_loss" in row["metrics"] for row in found if row["type"] == "metrics")
    for at in (2, 6, 7, starts[0][0] - 1, starts[0][0], starts[1][1]):
        assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run), at


def test_resume_is_exact_where_nothing_but_the_count_says_which_phase(runs: None, tmp_path: Path) -> None:
    planned = PICTURES[0].replace(", early_stopping = { patience = 2, every = 3 }", "")
    declared = (planned, *PICTURES[1:], SHRINK)
    run, parts = finished(tmp_path / "whole", *declared)
    assert not any(name.startswith("phases/") for name in parts.snapshot().tensors)
    for at in (5, 10, 11, 12, 24):
        assert result(resumed(stopped(*begin(tmp_path / str(at), *declared), at=at))) == result(run), at


def test_seeds_together_are_the_same_as_alone(runs: None, tmp_path: Path) -> None:
    together, _ = finished(tmp_path / "both", *PICTURES, SHRINK)
    for seed in (3, 8):
        alone, _ = finished(tmp_path / str(seed), *PICTURES, SHRINK, f"seeds=[{seed}]")
        pairs = zip(_metrics(together, seed), _metrics(alone, seed), strict=True)
        for ours, theirs in pairs:
            assert ours.keys() == theirs.keys()
            for name, value in ours.items():
                assert value == pytest.approx(theirs[name], rel=1e-3, abs=1e-4), name


def _metrics(run: Path, seed: int) -> Iterator[dict[str, float]]:
    return iter([row["metrics"] for row in rows(run) if row["type"] == "metrics" and row["seed"] == seed])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["environment.data.held_out=0"], "evaluations need held-out samples, and 'digits' holds nothing out here"),
        (["environment.augmentation={}"], "pictures are cropped and flipped; an input here is [64]"),
        (["environment.standardization={ mean = [0.5], deviation = [0.2] }"], "pictures have channels; an input"),
        (
            [*PICTURES[:2], "environment.standardization={ mean = [0.5, 0.5, 0.5], deviation = [0.2] }"],
            "environment.standardization.deviation: 1 numbers, and the pictures have 3 channels",
        ),
        (["algorithm.batch_size=200", "environment.last_batch='drop'"], "144 samples, and a batch takes 200"),
        (["training.env_steps=500"], "begins after 500 updates, and the run ends at 500"),
        (["environment.phases=[{ updates = 5 }, { updates = 6 }]"], "the phases last 11 updates, and the run 1,500"),
        (["environment.phases=[{}, {}]"], "phase 1 has no length, and is not the last"),
        (["environment.phases=[{ updates = 5, epochs = 2 }, {}]"], "give one of 'updates' and 'epochs', got both"),
        (["environment.phases=[{ updates = 5 }, { classes = [3, 10] }]"], "no class 10: the data have 10, from 0"),
        (["environment.phases=[{ updates = 5, classes = [3, 3] }, {}]"], "'classes' names a class twice"),
        (["environment.phases=[{ updates = 5, chunks = 3, label_noise = [0, 1] }, {}]"], "lists 2 shares for 3 chunks"),
        (["environment.phases=[{ updates = 5, subset = 1.5 }, {}]"], "must be greater than 0 and at most 1, got 1.5"),
        (["environment.phases=[{ updates = 5 }, { early_stopping = { patience = 1, every = 2 } }]"], "nothing follows"),
        (
            ["environment.phases=[{ updates = 5, permutation = 1, early_stopping = { patience = 1, every = 2 } }, {}]"],
            "it goes with neither 'classes' nor 'permutation'",
        ),
        (["environment.phases=[{}]"], "nothing switches here: 'environment' has no second phase that the run reaches"),
        (
            ["interventions.fresh_optimizer.when={ kind = 'at', steps = [2], clock = 'phase' }"],
            "2 comes after the end of the run (1 on the clock 'phase')",
        ),
        (
            ["interventions.fresh_optimizer.when={ kind = 'crossing', metric = 'a', above = 1.0, clock = 'phase' }"],
            "a cooldown is counted on 'env', 'interaction' or 'update'",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(overrides: list[str], message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        load(DIGITS, overrides)
    assert message in str(caught.value)


def test_a_phase_wants_sound_numbers() -> None:
    with pytest.raises(ValidationError, match="chunks have a length each"):
        phases({"chunks": 4})
