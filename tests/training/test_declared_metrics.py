"""What kinds declare of their metrics, against what runs write: no metric that is not declared, none that is absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import encoded  # noqa: F401 - registers its kinds
import pytest
import tiny_dqn  # noqa: F401
import tiny_runs
from tiny_rollouts import Choices as Choices
from tiny_runs import DRIFT, rows

from composer.blueprint import Blueprint, load
from composer.blueprint.forecast.metrics import written_metrics
from composer.spec.family import FAMILIES
from composer.training.signals import UndeclaredSignals, declared_signals

TESTS = Path(__file__).parents[1]
SHIPPED = TESTS.parent / "blueprints"
MEASURES = (
    "diagnostics={ every = 40, batch = 8, measures = ["
    "{ kind = 'dormant', layers = true }, { kind = 'dead_units' }, { kind = 'zero_activations' }, { kind = 'rank' }, "
    "{ kind = 'feature_norm' }, { kind = 'feature_dot' }, { kind = 'parameter_norm', layers = true }, "
    "{ kind = 'gradient_norm', layers = true }, { kind = 'effective_learning_rate', layers = true }, "
    "{ kind = 'distance_to_init', layers = true }, { kind = 'policy_churn', every = 40 }, "
    "{ kind = 'trainability', steps = 2, every = 60 }, { kind = 'curvature', iterations = 2, every = 60 }, "
    "{ kind = 'gradient_covariance', samples = 2, every = 60 }] }"
)
SHORT = ("training.env_steps=100", "training.log_every=30", "evaluation.every=50", "checkpoint.every=50")
INJECTED = (
    "interventions.fresh={ when = { kind = 'at', steps = [70], clock = 'env' }, where = ['critic.head.*'], "
    "do = { kind = 'inject' }, target = 'follow' }"
)
PHASES = (
    "environment={ kind = 'simulator_phases', task = { kind = 'test/drift' }, evaluate_earlier = true, "
    "phases = [{ env_steps = 50 }, { env_steps = 50, fresh = true }] }"
)
TASKS = (
    "environment.data={ kind = 'digits', samples = 100 }", "environment.task_updates=20", "algorithm.batch_size=10",
    "seeds=[0]", "training.env_steps=60", "training.log_every=20", "evaluation.every=20", "compute.compile='never'",
    "tracking.kind='none'",
)  # fmt: skip
STOPPING = (
    "environment={ kind = 'phases', data = { kind = 'digits', samples = 200, held_out = 60 }, "
    "phases = [{ updates = 20, early_stopping = { patience = 9, every = 5 } }, {}] }",
    "averages.slow={ of = 'model', momentum = 0.9 }",
    "algorithm.distillation={ average = 'slow' }",
    "algorithm.batch_size=10", "seeds=[0]", "training={ env_steps = 60, log_every = 20 }", "evaluation.every=20",
    "compute.compile='never'", "tracking.kind='none'",
)  # fmt: skip
CLONING = "algorithm.behaviour_cloning={ weighs = 'cloning', weight = 0.1 }"
OPTIMISTIC = (
    "algorithm.optimism={}",
    "networks.optimistic_actor={ trunk = { use = 'mlp', width = 8, depth = 1 }, head = { kind = 'action_shift' } }",
    *(f"optimizers.{role}={{ kind = 'adam' }}" for role in ("optimistic_actor", "optimism", "regularizer")),
)  # fmt: skip
FEATURES = "{ trunk = { use = 'mlp', width = 8, depth = 1 }, head = { kind = 'features' } }"
NOVELTY = (
    "algorithm.novelty={}",
    "networks.intrinsic_critic={ trunk = { use = 'mlp', width = 8, depth = 1 }, head = { kind = 'scalar' } }",
    *(f"networks.novelty_{name}={FEATURES}" for name in ("predictor", "target")),
    *(f"optimizers.{role}={{ kind = 'adam' }}" for role in ("intrinsic_critic", "novelty_predictor")),
)  # fmt: skip
CASES: dict[str, tuple[Path, Sequence[str]]] = {
    "sac, all measures": (TESTS / "tiny.toml", (DRIFT, *SHORT, MEASURES)),
    "sac in phases, injected": (TESTS / "tiny.toml", (PHASES, *SHORT, MEASURES, INJECTED)),
    "sac with an optimistic actor": (TESTS / "tiny.toml", (DRIFT, *SHORT, MEASURES, *OPTIMISTIC, CLONING)),
    "sac in dm_control": (TESTS / "tiny.toml", ()),
    "td3": (TESTS / "tiny_td3.toml", SHORT),
    "td3, cloning": (TESTS / "tiny_td3.toml", (*SHORT, "algorithm.behaviour_cloning={}")),
    "iql": (TESTS / "tiny_iql.toml", ()),
    "ppo": (TESTS / "tiny_ppo.toml", (MEASURES,)),
    "ppo, novelty": (TESTS / "tiny_ppo.toml", (MEASURES, *NOVELTY)),
    "pqn": (TESTS / "tiny_pqn.toml", (MEASURES.replace("{ kind = 'feature_dot' }, ", ""),)),
    "dqn": (TESTS / "tiny_dqn.toml", (MEASURES.replace("{ kind = 'feature_dot' }, ", ""),)),
    "td7": (TESTS / "tiny_td7.toml", ()),
    "metra": (TESTS / "tiny_metra.toml", (MEASURES,)),
    "tdmpc2": (TESTS / "tiny_tdmpc2.toml", ()),
    "mr_q": (TESTS / "tiny_mr_q.toml", (MEASURES,)),
    "dreamer_v3": (TESTS / "tiny_dreamer.toml", ()),
    "shared encoder of a plug-in": (TESTS / "tiny_encoded.toml", ()),
    "tasks": (SHIPPED / "plasticity" / "shuffled_labels.toml", TASKS),
    "phases, teacher": (SHIPPED / "warm_start" / "digits.toml", STOPPING),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_writes_what_is_declared(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, overrides = CASES[case]
    found: Blueprint = load(path, overrides).blueprint
    monkeypatch.setattr(tiny_runs, "tiny", lambda: found)
    run, _ = tiny_runs.finished(tmp_path)
    written = {name for row in rows(run) if row["type"] == "metrics" for name in row["metrics"]}
    declared = [each.metric for each in written_metrics(found) if each.where == "journal"]
    names = [metric.name for metric in declared]
    assert len(set(names)) == len(names)
    open_kinds = found.algorithm.metrics(found.environment.info) is None
    unknown = {name for name in written if not any(metric.is_named(name) for metric in declared)}
    assert not unknown or (open_kinds and not any(name.startswith(("evaluation", "training")) for name in unknown))
    absent = [metric for metric in declared if not any(metric.is_named(name) for name in written)]
    assert all(metric.condition for metric in absent), absent
    for metric in declared:
        for row in rows(run):
            values = [value for name, value in row.get("metrics", {}).items() if metric.is_named(name)]
            assert all(metric.low - 1e-6 <= value <= metric.high + 1e-6 for value in values), (metric, values)


def test_every_measure_and_algorithm_of_composer_is_in_a_case() -> None:
    for family in ("diagnostic", "algorithm"):
        ours = {kind for kind in FAMILIES[family].kinds() if "/" not in kind}
        used = {
            each.kind
            for path, overrides in CASES.values()
            for found in [load(path, overrides).blueprint]
            for each in ([found.algorithm] if family == "algorithm" else found.diagnostics.measures)
        }
        assert ours - used <= {"ddpg"}, family  # DDPG has the signals of TD3: the same class declares them.


def test_an_algorithm_that_declares_other_signals_than_its_program_reports_does_not_start() -> None:
    found = load(TESTS / "tiny.toml", [DRIFT]).blueprint
    algorithm, info = found.algorithm, found.environment.info
    names = [metric.name for metric in algorithm.metrics(info) or ()]
    declared_signals(algorithm, info, names)
    for reported in (names[1:], [*names, "critic/more"]):
        with pytest.raises(
            UndeclaredSignals, match=r"'sac' declares other metrics than its program reports: "
        ) as caught:
            declared_signals(algorithm, info, reported)
        assert caught.value.exit_code == 2
    undeclared = load(TESTS / "tiny_encoded.toml").blueprint
    declared_signals(undeclared.algorithm, undeclared.environment.info, ["anything"])
