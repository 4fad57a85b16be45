"""OGBench's single tasks, learned online. Source: Park et al., arXiv:2410.20092; OGBench 1.2.2.

Its data sets are not of this kind. Tests: tests/environments/test_registered.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from typing_extensions import override

from composer.environments.suites.registered import SuccessSuite
from composer.environments.suites.task_tables import known, task_table

if TYPE_CHECKING:
    from gymnasium import Env


class OGBench(SuccessSuite, kind="ogbench"):
    """A maze or a table of objects with one of its five goals.

    The reward is -1 in each step before the goal is reached; of tables, minus the number of objects that are not in
    place. An episode ends at the goal, by success. Observations are states.
    """

    package: ClassVar[str] = "ogbench"
    install: ClassVar[str] = 'pip install "rl-composer[ogbench]"'
    success_key: ClassVar[str] = "success"
    first_env_steps: ClassVar[int] = 1_000_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "ogbench", "task": "antmaze-medium"}

    task: Annotated[str, AfterValidator(lambda name: known(name, task_table("ogbench"), "OGBench task"))]
    """The environment without the name of a data set: ``cube-single``."""
    goal: Annotated[int, Field(ge=0, le=5)] = 0
    """Which of the five goals, as OGBench numbers them; 0 is the one that its authors chose as the default."""

    @property
    @override
    def id(self) -> str:
        return f"{self.task}-singletask{f'-task{self.goal}' if self.goal else ''}-v0"

    @property
    @override
    def title(self) -> str:
        return f"{self.task}-task{self.goal}" if self.goal else self.task

    @override
    def libraries(self) -> tuple[str, ...]:
        return *super().libraries(), "dm_control"

    @override
    def wrapped(self, made: Env[Any, Any]) -> Env[Any, Any]:
        """Mazes draw from NumPy's global generator, and from that of their action space, which no reset seeds."""
        from composer.environments.suites.global_draws import GlobalDraws

        return GlobalDraws(made)
