"""Run directories with journals as given, for tests of what reads finished runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.blueprint import dump, load
from composer.blueprint.syntax.extends import shipped
from composer.tracking.journal import Journal
from composer.tracking.records import Ended


def write_run(
    path: Path,
    name: str,
    values: Mapping[int, Sequence[float]],
    task: str = "walker-walk",
    blueprint: str = "dmc/sac_mlp",
    key: str = "environment.task",
    steps: Sequence[int] = (100, 200, 300),
    overrides: Sequence[str] = (),
    metric: str = "evaluation/return",
    status: str | None = "FINISHED",
    diverged: tuple[int, str] | None = None,
    **facts: Any,
) -> Path:
    """Write a run whose seeds score ``values[seed]`` at ``steps``; ``diverged`` is the step and reason of the end."""
    path.mkdir()
    seeds = f"seeds=[{', '.join(map(str, values))}]"
    found = load(shipped()[blueprint], [seeds, f"{key}={task}", *overrides]).blueprint
    (path / "blueprint.toml").write_text(dump(found))
    written = {"name": name, "variant": None, "task": task, "seeds": list(values), **facts}
    (path / "run.json").write_text(json.dumps(written))
    with Journal(path / "journal.jsonl") as journal:
        for column, step in enumerate(steps):
            for seed, row in values.items():
                if column < len(row):
                    metrics = {metric: row[column], "training/return": 0.0}
                    journal.append({"type": "metrics", "env_step": step, "seed": seed, "metrics": metrics})
        if diverged is not None:
            step, reason = diverged
            journal.append({"type": "event", "env_step": step, "seed": None, "name": "diverged", "reason": reason})
    if status is not None:
        Ended(status, 0).save(path)  # type: ignore[arg-type]
    return path
