"""MyoSuite: arms, hands and legs moved by muscles. Source: Caggiano et al., arXiv:2205.13600; MyoSuite 3.0.0.

Tests: tests/environments/test_registered.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from composer.environments.suites.registered import SuccessSuite
from composer.environments.suites.task_tables import known, task_table


class MyoSuite(SuccessSuite, kind="myosuite"):
    """A task of MyoSuite. Actions are excitations of muscles, which the task maps to [0, 1] by a sigmoid of its own.

    A step is solved where the task's ``solved`` says so: pose, tips or object within a threshold of the target.
    """

    package: ClassVar[str] = "myosuite"
    install: ClassVar[str] = 'pip install "rl-composer[myo]" -c constraints-myo.txt (docs/guide/suites.md)'
    success_key: ClassVar[str] = "solved"
    first_env_steps: ClassVar[int] = 100_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "myosuite", "task": "myoElbowPose1D6MRandom-v0"}

    task: Annotated[str, AfterValidator(lambda name: known(name, task_table("myosuite"), "MyoSuite task"))]
    """The id as MyoSuite registers it; ``Random`` ones draw a target in each episode."""
