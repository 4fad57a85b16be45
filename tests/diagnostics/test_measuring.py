"""Diagnostics of a checkpoint: those that the run itself would have read, and any others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import DRIFT, finished, rows, state_digest

from composer.diagnostics import Curvature, Dormant, GradientNorm, Rank, Trainability
from composer.studies import Refused
from composer.studies.measure_run import measure
from composer.training.runs.checkpoint import CheckpointDamaged

SHORT = (DRIFT, "seeds=[4, 2]", "training.env_steps=150", "evaluation.every=150", "checkpoint.every=50",
         "replay.capacity=70")  # fmt: skip
MEASURES = '[{ kind = "rank" }, { kind = "gradient_norm" }, { kind = "curvature", iterations = 3, every = 50 }]'


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, _ = finished(
        tmp_path_factory.mktemp("run"), *SHORT, "diagnostics.every=50", f"diagnostics.measures={MEASURES}",
        "diagnostics.batch=16",
    )  # fmt: skip
    return path


@pytest.mark.parametrize("at", [None, 100, 150])
def test_a_checkpoint_reads_what_the_run_read_there(at: int | None, watched: Path) -> None:
    found = measure(watched, [Rank(), GradientNorm(), Curvature(iterations=3)], at=at)
    assert list(found) == [4, 2]
    for row in rows(watched):
        if row["env_step"] == (at or 150) and "diagnostics/critic/srank.v1" in row["metrics"]:
            assert found[row["seed"]] == pytest.approx(row["metrics"], rel=1e-4)
            assert found[row["seed"]].keys() == row["metrics"].keys()


def test_measures_that_the_run_did_not_have_and_another_batch(watched: Path) -> None:
    before = state_digest(watched), (watched / "journal.jsonl").read_bytes()
    found = measure(watched, [Trainability(steps=2, roles=("critic",)), Rank()], batch=60)
    for row in found.values():
        assert {name.split("/")[-1] for name in row} >= {"trainability.v1", "trainability_change.v1", "srank.v1"}
    same = measure(watched, [Rank()])
    assert found[4]["diagnostics/critic/srank.v1"] != same[4]["diagnostics/critic/srank.v1"] or found[2] != same[2]
    assert (state_digest(watched), (watched / "journal.jsonl").read_bytes()) == before


def test_a_run_that_measured_nothing_can_be_measured(tmp_path: Path) -> None:
    path, _ = finished(tmp_path, *SHORT)
    one, two = (measure(path, [GradientNorm()]) for _ in range(2))
    assert one == two
    assert one[4] != one[2]


def test_what_cannot_be_measured_is_refused(watched: Path) -> None:
    with pytest.raises(Refused, match=r"measures\[1\].roles\[0\]: no network named 'critc'; did you mean 'critic'"):
        measure(watched, [Dormant(), Rank(roles=("critc",))])
    with pytest.raises(CheckpointDamaged, match=r"no checkpoint of environment step 77.*there are 100, 150"):
        measure(watched, [Rank()], at=77)
