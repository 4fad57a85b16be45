"""What an agent costs: parameters, arithmetic, updates and seconds of a run, up to an environment step.

Tests: tests/studies/figures/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.flops import update_flops
from composer.spec.run_files import read_table
from composer.studies import Refused
from composer.studies.compare.read_runs import Reading
from composer.tracking.journal import read
from composer.tracking.records import TIMING


def parameters(run: Reading, step: int) -> float:
    """Parameters of all networks and their copies, without averages of them."""
    del step
    try:
        return float(sum(role["count"] for role in read_table(run.path / "parameters.json").values()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{run.path / 'parameters.json'} cannot be read: {error}") from None


def updates(run: Reading, step: int) -> float:
    """Gradient updates of each seed by then."""
    return float(clock_of(run.blueprint).updates_by(step))


def operations(run: Reading, step: int) -> float:
    """Floating-point operations of the updates of one seed, as ``composer show`` counts them."""
    return updates(run, step) * update_flops(run.blueprint) / len(run.blueprint.seeds)


def seconds(run: Reading, step: int) -> float:
    """Seconds that training took by then, with all seeds of the run together; pauses do not count."""
    spent, last = 0.0, 0
    for row in read(run.path / TIMING):
        rate = row.get("metrics", {}).get("speed/env_steps_per_second")
        if not rate or not last < row["env_step"] <= step:
            continue
        # The first row has no speed: its steps are taken to be as fast as those after it.
        spent += (row["env_step"] - last) / rate
        last = row["env_step"]
    return spent * step / last if last else math.nan


COSTS: Final[Mapping[str, tuple[Callable[[Reading, int], float], str]]] = {
    "parameters": (parameters, "parameters"),
    "operations": (operations, "floating-point operations of the updates, per seed"),
    "updates": (updates, "gradient updates, per seed"),
    "seconds": (seconds, "seconds of training, all seeds of a run together"),
}
"""By name: how it is read, and the label of its axis."""
