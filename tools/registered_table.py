"""Write the table of a kind in registry/suites from an installed package: ``python -m tools.registered_table KIND``.

KIND is a suite that a package registers with Gymnasium, such as ``myosuite``. Run it after a change of the package's
version; a test compares the table with the package where that is installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium

from composer.environments.suites.gymnasium_spaces import action_layout, observation_layout
from composer.environments.suites.task_tables import FORMAT
from composer.spec.calls import in_words

COLUMNS = ("observation_size", "action_size", "episode_env_steps", "control_seconds", "terminates")
DEFAULT_GOAL = "-singletask-v0"


def ids(kind: str) -> dict[str, str]:
    """The ids of a package that composer names as tasks, by task."""
    package = import_module(kind)
    if kind == "myosuite":
        return {name: name for name in package.myosuite_myobase_suite}
    states = (name for name in gymnasium.registry if name.endswith(DEFAULT_GOAL) and not name.startswith("visual-"))
    return {name.removesuffix(DEFAULT_GOAL): name for name in states}


def measure(environment: Any) -> tuple[int, int, int, float, bool]:
    """The ``COLUMNS`` of one environment; every task of these packages may end by itself."""
    observed, acted = observation_layout(environment.observation_space), action_layout(environment.action_space)
    (size,) = observed.shape
    bare = environment.unwrapped
    seconds = (
        bare.control_timestep() if hasattr(bare, "control_timestep") else getattr(bare, "dt", None) or bare._ctrl_dt
    )
    return size, acted.size, environment.spec.max_episode_steps, round(float(seconds), 9), True


def rows(kind: str) -> Iterator[str]:
    """A line of each task; a comment where the package registers an id that it cannot build."""
    for task, name in sorted(ids(kind).items()):
        try:
            environment = gymnasium.make(name, disable_env_checker=True)
        except Exception as error:
            yield f"# {task}: {in_words(error)}"
            continue
        yield f'"{task}" = [{", ".join(map(str, measure(environment))).lower()}]'
        environment.close()


def table(kind: str) -> str:
    """The file's text."""
    head = (
        f"# Tasks of {kind} {version(kind)}. Written by tools/registered_table.py.\n"
        f"# Steps are control steps, before action repeat.\n"
        f"suite = {FORMAT}\ncolumns = {json.dumps(COLUMNS)}\n\n[tasks]\n"
    )
    return head + "\n".join(rows(kind)) + "\n"


if __name__ == "__main__":
    path = Path(__file__).resolve().parent.parent / "registry" / "suites" / f"tasks_{sys.argv[1]}.toml"
    path.write_text(table(sys.argv[1]), encoding="utf-8")
    print(path)
