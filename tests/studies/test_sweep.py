"""``composer sweep``: every variant once, what is finished never again, one failure alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from composer.blueprint import BlueprintError
from composer.studies import Refused
from composer.studies.sweep import for_one_program, sweep, text
from composer.training import assemble
from composer.training.assemble import NotTheSame
from composer.training.runs.directory import read_facts

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
    """Alone runs a sweep in its processes, twice."""
    table, said = swept(tmp_path, "base", "l2")
    assert table["failed"] == 0
    assert [(row["variant"], row["status"]) for row in table["runs"]] == [("base", "finished"), ("l2", "finished")]  # type: ignore[attr-defined]
    warned = [line for line in said if " warning: " in line]
    assert said[: len(warned)] == warned and len(warned) == 1 and "diagnostics.every" in warned[0]
    ended, began = sorted(said[1:])[:2]
    assert re.fullmatch(r"base: finished: accuracy [\d.]+%", ended) and began == "base: training"
    assert "composer compare" in text(table)
    again, said = swept(tmp_path, "base", "l2", "l2+sam")
    assert [line for line in said if "training" in line] == ["l2+sam: training"]
    assert read_facts(Path(again["runs"][2]["run"]))["variant"] == "l2+sam"  # type: ignore[index]
    assert [row["run"] for row in again["runs"]][:2] == [row["run"] for row in table["runs"]]  # type: ignore[attr-defined]
    diverging = ("optimizers.model.learning_rate=1e29", "training.env_steps=12")
    failed, _ = swept(tmp_path, "base", "stationary", more=diverging)
    assert failed["failed"] and {row["exit_code"] for row in failed["runs"]} <= {0, 5}  # type: ignore[attr-defined]
    assert "the same command again runs only those" in text(failed)


@pytest.mark.slow
def test_variants_share_a_process_where_they_can_and_fall_alone(tmp_path: Path) -> None:
    """Alone runs a sweep's variants together in one process."""
    study = tmp_path / "study.toml"
    variants = "[variants.wild.optimizers.critic]\nlearning_rate = 1e29\n"
    variants += "[variants.small_step.optimizers.critic]\nlearning_rate = 1e-5\n"
    study.write_text((Path(__file__).parents[1] / "tiny.toml").read_text() + variants)
    said: list[str] = []
    overrides = ["training.log_every=80"]
    table = sweep(study, overrides, ("base", "wild", "small_step"), tmp_path / "runs", 1, said.append, 8)
    assert said[0] == "base,wild,small_step: training"
    codes = {row["variant"]: (row["status"], row["exit_code"]) for row in table["runs"]}
    assert codes == {"base": ("finished", 0), "wild": ("failed", 5), "small_step": ("finished", 0)}
    again = sweep(study, overrides, ("base", "small_step"), tmp_path / "runs", 1, said.append, 8)
    assert [row["run"] for row in again["runs"]] == [table["runs"][0]["run"], table["runs"][2]["run"]]
    facts = read_facts(Path(table["runs"][0]["run"]))
    assert facts["beside"] == ["wild", "small_step"]
    with pytest.raises(NotTheSame, match="program: shared with wild, small_step then, its own now"):
        assemble.resume(Path(table["runs"][0]["run"]))


def test_variants_of_different_programs_are_refused_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'base' and 'l2' cannot be trained in one program: they differ in penalties"):
        for_one_program(PLASTICITY, OVERRIDES, ["base", "l2"])
    with pytest.raises(Refused, match="two or more variants, each once"):
        for_one_program(PLASTICITY, OVERRIDES, ["base", "base"])


def test_an_unknown_variant_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError) as caught:
        swept(tmp_path, "head_rest", "base", "l2+samm", "nothing+like+it")
    lines = str(caught.value).splitlines()
    for line, name in zip(lines, ("head_rest", "it", "like", "nothing", "samm"), strict=True):
        assert f"no variant named '{name}'; " in line
    assert "did you mean 'head_reset'?" in lines[0] and "did you mean 'sam'?" in lines[-1]
    with pytest.raises(BlueprintError):
        swept(tmp_path, "base", more=("algorithm.batch_size=0",))
    assert list(tmp_path.iterdir()) == []
