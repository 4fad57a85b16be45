"""Write registry/suites/tasks_dm_control.toml from the installed dm_control (``python tools/dm_control_table.py``).

Run it after a change of dm_control's version; the tests compare the table with the simulator.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from composer.environments.suites.dm_control import UNLIMITED_ENV_STEPS
from composer.environments.suites.dm_control_single import load_suite
from composer.environments.suites.task_tables import FORMAT

COLUMNS = ("observation_size", "action_size", "episode_env_steps", "control_seconds", "terminates")
HEADER = f"""\
# Every task of dm_control's suite. Written by tools/dm_control_table.py; a test compares it with dm_control.
# Steps are control steps, before action repeat. The lqr tasks have no limit in dm_control; here, {UNLIMITED_ENV_STEPS}.
suite = {FORMAT}
columns = {json.dumps(COLUMNS)}

[tasks]
"""


def rows() -> dict[str, tuple[int, int, int, float, bool]]:
    """For every task its ``COLUMNS``, measured on the environment that dm_control builds."""
    suite = load_suite()
    return {f"{domain}-{task}": measure(suite.load(domain, task)) for domain, task in suite.ALL_TASKS}


def measure(environment: Any) -> tuple[int, int, int, float, bool]:
    """Sizes, time limit, seconds of a control step, and whether the task can end by itself."""
    from dm_control.rl.control import Task

    observation = sum(math.prod(spec.shape) for spec in environment.observation_spec().values())
    limit = environment._step_limit
    steps = UNLIMITED_ENV_STEPS if math.isinf(limit) else math.ceil(limit)
    terminates = type(environment.task).get_termination is not Task.get_termination
    seconds = round(environment.control_timestep(), 9)
    return observation, math.prod(environment.action_spec().shape), steps, seconds, terminates


def table() -> str:
    """The file's text."""
    lines = [f'"{name}" = [{", ".join(map(str, row)).lower()}]' for name, row in sorted(rows().items())]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = Path(__file__).resolve().parent.parent / "registry" / "suites" / "tasks_dm_control.toml"
    path.write_text(table(), encoding="utf-8")
    print(path)
