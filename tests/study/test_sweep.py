"""``composer sweep``: every variant once, what is finished never again, one failure alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.blueprint import BlueprintError
from composer.study.sweep import NoVariant, sweep, text

PLASTICITY = Path(__file__).parents[2] / "blueprints" / "plasticity" / "shuffled_labels.toml"
OVERRIDES = (
    "seeds=[0]",
    "environment.data.samples=20",
    "environment.task_updates=2",
    "algorithm.batch_size=10",
    "training={ env_steps = 4, log_every = 4 }",
    "evaluation.every=4",
    "checkpoint.every=4",
    "tracking.kind='none'",
    "networks.model.trunk={ use = 'mlp', width = 4, depth = 1 }",
)


def swept(runs: Path, *variants: str, more: tuple[str, ...] = (), jobs: int = 2) -> tuple[dict[str, object], list[str]]:
    said: list[str] = []
    return sweep(PLASTICITY, [*OVERRIDES, *more], variants, runs, jobs, said.append), said


@pytest.mark.slow
def test_what_is_finished_is_not_run_again_and_failures_are_alone(tmp_path: Path) -> None:
    table, said = swept(tmp_path, "base", "l2")
    assert table["failed"] == 0
    assert [(row["variant"], row["status"]) for row in table["runs"]] == [("base", "finished"), ("l2", "finished")]  # type: ignore[attr-defined]
    assert sorted(said)[:2] == ["base: finished (exit code 0)", "base: training"]
    assert "composer compare" in text(table)
    again, said = swept(tmp_path, "base", "l2", "weight_decay")
    assert [line for line in said if "training" in line] == ["weight_decay: training"]
    assert [row["run"] for row in again["runs"]][:2] == [row["run"] for row in table["runs"]]  # type: ignore[attr-defined]
    diverging = ("optimizers.model.learning_rate=1e29", "training.env_steps=12")
    failed, _ = swept(tmp_path, "base", "stationary", more=diverging)
    assert failed["failed"] and {row["exit_code"] for row in failed["runs"]} <= {0, 5}  # type: ignore[attr-defined]
    assert "the same command again runs those alone" in text(failed)


def test_an_unknown_variant_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(NoVariant, match="has no variant 'head_rest'; did you mean 'head_reset'"):
        swept(tmp_path, "head_rest")
    with pytest.raises(BlueprintError):
        swept(tmp_path, "base", more=("algorithm.batch_size=0",))
    assert list(tmp_path.iterdir()) == []
