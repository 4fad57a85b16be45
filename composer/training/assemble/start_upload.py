"""What the tracking store shows of a run, and the start of the process that sends it there.

Tests: tests/training/test_start_upload.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.blueprint import flatten
from composer.blueprint.forecast.metrics import known_metrics, ranges
from composer.blueprint.inspect.agent_name import plain_name
from composer.blueprint.serialize import agent_digest
from composer.spec.interval import LEAST, method
from composer.tracking.experiment import experiment_name, project_experiment
from composer.tracking.page.names import headline
from composer.tracking.records import RunDescription
from composer.tracking.uploader import Uploader
from composer.training.assemble.run_dataset import run_dataset

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.runs.directory import Run


def start_upload(blueprint: Blueprint, run: Run, data_digest: str = "") -> Uploader:
    """Start the process that sends the journal of a run, new or resumed, to its tracking store.

    ``data_digest`` is that of the data set that it has loaded, if any.
    """
    said = describe(blueprint, run.facts, run.path.parent, data_digest)
    return Uploader.start(run.path, blueprint.tracking, said, run.path.parent)


def describe(blueprint: Blueprint, facts: Mapping[str, Any], runs_dir: Path, data_digest: str = "") -> RunDescription:
    """What the store shows of a run in ``runs_dir`` with these ``facts``, the content of its ``run.json``."""
    study = facts.get("study")
    return RunDescription(
        experiment=experiment_name(study["name"]) if study else project_experiment(runs_dir),
        parameters=facts.get("settings", flatten(blueprint)),  # Runs of older versions have none.
        tags=_tags(blueprint, facts),
        ranges=ranges(blueprint),
        headline=blueprint.environment.metric,
        metrics=[each.metric.name for each in known_metrics(blueprint)],
        dataset=run_dataset(blueprint.environment, facts, data_digest),
    )


def _tags(blueprint: Blueprint, facts: Mapping[str, Any]) -> dict[str, str | None]:
    name, variant = facts["name"], facts["variant"]
    study, shown = facts.get("study"), headline(blueprint.environment.metric)
    return {
        **facts.get("tags", {}),
        "agent": facts.get("agent", plain_name(name, variant)),  # Runs of older versions have none.
        "blueprint": name,
        "variants": variant,
        "suite": blueprint.environment.kind,
        "task": facts["task"],
        "seeds": ",".join(map(str, facts["seeds"])),
        "algorithm": facts["algorithm"],
        "study": study["name"] if study else None,
        "point": study["label"] if study else None,
        "git": facts["git_commit"],
        "parameters": str(_parameters(blueprint)),
        "composer.agent": agent_digest(blueprint),
        "composer.hash": facts["hash"],
        "composer.run_id": facts["run_id"],
        "composer.interval": f"{shown.low} and {shown.high}: {method()}, from {LEAST} seeds on",
        "composer.forked_from": facts["fork"]["from"] if "fork" in facts else None,
        "mlflow.source.git.commit": facts["git_commit"],
    }


def _parameters(blueprint: Blueprint) -> int:
    """Trainable scalars of the networks of one seed, all copies."""
    copies = {role: network.copies for role, network in blueprint.networks.items()}
    return sum(outline.count(trainable_only=True) * copies[role] for role, outline in blueprint.sound_outlines.items())
