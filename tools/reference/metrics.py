"""The page of metrics: what each kind writes. Tests: tests/docs/test_reference.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from composer.algorithms.base import Algorithm
from composer.blueprint.forecast.metrics import SPEED
from composer.blueprint.inspect.metrics_list import range_text
from composer.diagnostics.base import Diagnostic, LayerDiagnostic
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo
from composer.spec.family import FAMILIES
from composer.spec.metrics import Metric
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.page.names import DEFAULT
from tools.reference.markdown import page, prose, table

_ABOUT = """\
What a run writes, by the kind that declares it. ``composer metrics BLUEPRINT`` lists those of one blueprint, with the
interval between two rows; a trigger on any other name is refused. Names of measures begin with ``diagnostics/ROLE/``
and end with their version. A row may lack a metric that has a condition. Signals of updates, those of algorithms, are
means since the last row. The range of returns is that of the task, where one is known (``dm_control``, Gymnasium's
classic tasks)."""
_INFO = EnvironmentInfo((4,), 2, 1000, 1, terminates=True)
_SIMULATOR = "dm_control"
_EPISODES = ("training/return", "training/episode_length")
"""What every simulator has."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "dqn": {"spr": {"latent": 64}},
    "supervised": {"distillation": {"average": "teacher"}},
    "simulator_phases": {"evaluate_earlier": True},
    "offline": {"offline_env_steps": 50_000, "task": {"kind": "dm_control", "task": "pendulum-swingup"}},
    "phases": {"phases": [{"updates": 100, "early_stopping": {"patience": 3, "every": 10}}, {}]},
}
"""Settings that add metrics."""


def metrics_page() -> str:
    """The whole page."""
    charts = MlflowTracker().charts(["NAME"], Metric(DEFAULT, "mean return of an evaluation's episodes", "return"))
    return page(
        "# Metrics",
        prose(_ABOUT),
        "## Algorithms",
        _rows(_of_algorithms()),
        "## Environments and data",
        _rows(_of_environments()),
        "## Measures",
        _rows(_of_measures()),
        "## Outside of the journal",
        _rows([*(("timing.jsonl", each) for each in SPEED), *(("mlflow", each) for each in charts)]),
        "[All families](README.md)",
    )


def _rows(found: Iterable[tuple[str, Metric]]) -> str:
    heads = ["kind", "metric", "meaning", "unit", "range", "condition"]
    return table(
        heads,
        [
            [f"`{kind}`", f"`{m.name}`", prose(m.meaning), m.unit, range_text(m.low, m.high), m.condition]
            for kind, m in found
        ],
    )


def _kinds(family: str) -> Iterator[type[Any]]:
    for _, kind in sorted(FAMILIES[family].kinds().items()):
        if kind.__module__.partition(".")[0] == "composer":
            yield kind


def _made(kind: type[Any], **more: Any) -> Any:
    return kind.model_validate({key: value for key, value in {**kind.example, **more}.items() if key != "kind"})


def _of_algorithms() -> Iterator[tuple[str, Metric]]:
    for kind in _kinds("algorithm"):
        algorithm: Algorithm = _made(kind, **_OPTIONS.get(kind.kind, {}))
        for metric in algorithm.metrics(_INFO) or ():
            yield kind.kind, metric


def _of_environments() -> Iterator[tuple[str, Metric]]:
    """Simulators declare the same metrics: one of them, whose sizes are known without importing it, stands for all."""
    for kind in _kinds("environment"):
        if kind.is_simulator and kind.kind != _SIMULATOR and kind.kind not in _OPTIONS:
            continue
        environment: Environment = _made(kind, **_OPTIONS.get(kind.kind, {}))
        if kind.is_simulator and kind.kind != _SIMULATOR:
            own = [each for each in environment.training_metrics() or () if each.name not in _EPISODES]
            yield from ((kind.kind, metric) for metric in own)
            continue
        found = (environment.evaluation_metric(), *(environment.training_metrics() or ()))
        for metric in found:
            if kind.is_simulator:
                yield "every simulator", metric._replace(low=-math.inf, high=math.inf)
            else:
                yield kind.kind, metric


def _of_measures() -> Iterator[tuple[str, Metric]]:
    for kind in _kinds("diagnostic"):
        measure: Diagnostic = _made(kind)
        for name in measure.names():
            found = measure.metric(name)
            layers = (
                ", also layer by layer" if isinstance(measure, LayerDiagnostic) and name == measure.names()[0] else ""
            )
            yield kind.kind, found._replace(name=name, meaning=found.meaning + layers)
