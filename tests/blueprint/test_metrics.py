"""The metrics of a blueprint before it runs: triggers on what is not written, or too late, are refused."""

from __future__ import annotations

import json
from pathlib import Path

import encoded  # noqa: F401 - registers its kinds
import pytest
from typer.testing import CliRunner

from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.metrics import undeclared, written_metrics
from composer.cli import app
from composer.environments.suites.gymnasium import Gymnasium

TESTS = Path(__file__).parents[1]
TINY = TESTS / "tiny.toml"
DORMANT = "diagnostics={ every = 300, measures = [{ kind = 'dormant' }, { kind = 'policy_churn', every = 5_000 }] }"


def trigger(metric: str, more: str = "", role: str = "critic") -> str:
    """An override: an intervention that waits for a metric."""
    when = f"{{ kind = 'crossing', metric = '{metric}', below = 1.0, clock = 'env'{more} }}"
    return (
        f"interventions.wait={{ when = {when}, where = ['{role}.*'], do = {{ kind = 'lerp', toward.kind = 'fresh' }} }}"
    )


def message(*overrides: str, path: Path = TINY) -> str:
    """The one problem of a blueprint, with its hint."""
    with pytest.raises(BlueprintError) as caught:
        load(path, overrides)
    (problem,) = caught.value.problems
    assert problem.path.endswith("when.metric")
    return f"{problem.message}; {problem.hint}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        # The case of the report, and its siblings.
        ((trigger("evaluation/retrun"),), "did you mean 'evaluation/return'?"),
        ((trigger("model/loss"),), "SAC has no 'model': it trains 'actor', 'critic', 'temperature'"),
        ((trigger("diagnostics/critic/dormant_ratio_0.1"), DORMANT), "mean 'diagnostics/critic/dormant_ratio_0.1.v1'?"),
        ((trigger("diagnostics/critic/dormant_ratio_0.1.v1"),), "no diagnostics are measured: diagnostics.measures"),
        ((trigger("diagnostics/value/dormant_ratio_0.1.v1"), DORMANT), "did you mean 'diagnostics/"),
        ((trigger("diagnostics/critic/layers/head/dormant_ratio_0.1.v1"), DORMANT), "measures with layers = true"),
        ((trigger("evaluation/accuracy"),), "no metric 'evaluation/accuracy' is written"),
        ((trigger("speed/updates_per_second"),), "is written to timing.jsonl, which no trigger reads"),
        ((trigger("interventions/wait"), "tracking.kind='mlflow'"), "is written to MLflow, which no trigger reads"),
        ((trigger("critic/loss.ci_low"),), "did you mean 'critic/loss'?"),
        # Written, but only when it is too late.
        ((trigger("evaluation/return"), "evaluation.every=1_000_000"), "is written after the last step only"),
        ((trigger("diagnostics/policy/churn.v1"), DORMANT), "is written after the last step only"),
        ((trigger("evaluation/return", ", patience = 2"),), "written 1 time before the last step of the run"),
        ((trigger("critic/loss"), "algorithm.warmup_interactions=149"), "is written after the last step only"),
    ],
)
def test_a_trigger_that_cannot_fire_is_refused(overrides: tuple[str, ...], said: str) -> None:
    assert said in message(*overrides)


def test_what_is_written_in_time_is_accepted() -> None:
    load(TINY, [trigger("critic/loss", ", patience = 3")])
    load(TINY, [trigger("training/return"), "training.env_steps=20_000"])
    load(TINY, [trigger("diagnostics/critic/dormant_ratio_0.1.v1", ", patience = 3"), DORMANT])


def test_an_algorithm_that_declares_nothing_may_write_what_no_other_kind_writes() -> None:
    path = TESTS / "tiny_encoded.toml"
    found = load(path, [trigger("encoder/anything")]).blueprint
    assert undeclared(found) == ["test/encoded"]
    assert "did you mean 'evaluation/return'?" in message(trigger("evaluation/retrun"), path=path)
    assert "training" in message(trigger("training/retrun"), path=path)


def test_other_problems_are_told_beside_a_trigger_on_a_metric() -> None:
    for others in (
        "diagnostics.measures=[{ kind = 'parameter_norm', layers = true, roles = ['nobody'] }]",
        "diagnostics.measures=[{ kind = 'dormant', layers = true, roles = ['nobody'] }]",
        "interventions.grow={ when = { kind = 'at', steps = [9] }, where = ['nobody.*'], do = { kind = 'inject' } }",
    ):
        with pytest.raises(BlueprintError, match="nobody"):
            load(TINY, [trigger("critic/loss"), others])


def test_the_command_lists_every_metric() -> None:
    runner = CliRunner()
    text = runner.invoke(app, ["metrics", str(TINY), DORMANT])
    assert text.exit_code == 0
    assert "evaluation/return" in text.stdout and "evaluation.every = 600" in text.stdout
    answer = json.loads(runner.invoke(app, ["metrics", str(TINY), DORMANT, "--json"]).stdout.splitlines()[-1])
    found = written_metrics(load(TINY, [DORMANT]).blueprint)
    assert [row["name"] for row in answer["metrics"]] == [each.metric.name for each in found]
    assert all(row["meaning"] and row["key"] for row in answer["metrics"])
    (row,) = (row for row in answer["metrics"] if row["name"] == "evaluation/return")
    assert (row["low"], row["high"], row["every_env_steps"], row["unit"]) == (0, 1000, 600, "return")


def test_known_ranges_hold_the_returns() -> None:
    for name, bounds in (("CartPole-v1", (0, 500)), ("Pendulum-v1", (-200 * 16.2736044, 0))):
        declared = Gymnasium(id=name)
        assert declared.metric_range == pytest.approx(bounds, abs=1e-4)
        assert Gymnasium(id=name, episode_env_steps=10).metric_range == pytest.approx(
            (bounds[0] / declared.info.episode_env_steps * 10, bounds[1] / declared.info.episode_env_steps * 10),
            abs=1e-4,
        )
    for task, bounds in (("walker-walk", (0, 1000)), ("lqr-lqr_2_1", (None, 1000))):
        found = load(TINY, [f"environment.task='{task}'"]).blueprint
        low, high = found.environment.metric_range
        assert (low if bounds[0] is not None else None, high) == bounds
