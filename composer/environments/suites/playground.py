"""MuJoCo Playground's control suite: dm_control's tasks in JAX. Source: Zakka et al., arXiv:2502.08844; version 0.2.0.

Tests: tests/environments/test_playground.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from typing_extensions import override

from composer.environments.base import Simulator
from composer.environments.interface import EnvironmentInfo, UnusableEnvironment, VectorEnvironment
from composer.environments.suites.task_tables import known, task_table
from composer.environments.vector.packages import missing_packages


class Playground(Simulator, kind="playground"):
    """A task of MuJoCo Playground's control suite, all copies stepped in one call of JAX (MJX).

    Rewards are in [0, 1]. Only physics that diverges ends an episode before its limit, as a failure. Every episode
    begins anew, where the package's own training resets to a kept first state. There are no pictures.
    """

    task_key: ClassVar[str] = "task"
    first_env_steps: ClassVar[int] = 1_000_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "playground", "task": "CartpoleBalance", "copies": 16}

    task: Annotated[str, AfterValidator(lambda name: known(name, task_table("playground"), "task of Playground"))]
    """The name as the package registers it: ``WalkerRun``."""
    episode_env_steps: Annotated[int, Field(ge=1, le=10**7)] | None = None
    """Control steps after which an episode is truncated. Absent: the package's own, 1,000."""

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*task_table("playground"),)

    @property
    @override
    def title(self) -> str:
        return self.task

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        return 0.0, float(self.info.episode_env_steps)

    def describe(self) -> EnvironmentInfo:
        """From the table of tasks; neither JAX nor the package is imported."""
        task = task_table("playground")[self.task]
        return EnvironmentInfo(
            observation=(task.observation_size,),
            action_size=task.action_size,
            episode_env_steps=self.episode_env_steps or task.episode_env_steps,
            action_repeat=self.action_repeat,
            terminates=True,
        )

    @override
    def libraries(self) -> tuple[str, ...]:
        return "mujoco_playground", "mujoco", "jax"

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        if self.workers:
            yield "environment.workers", "all copies are stepped in one call of JAX: leave this out"

    @override
    def vector(self, seeds: Sequence[int]) -> VectorEnvironment:
        """Raises UnusableEnvironment where JAX or the package is not installed: only running needs them."""
        if missing := missing_packages("jax", "mujoco_playground"):
            raise UnusableEnvironment("kind", f'Playground needs {missing}: pip install "rl-composer[playground]"')
        from composer.environments.suites.playground_functions import PlaygroundFunctions
        from composer.environments.vector.functional_vector import FunctionalVector
        from composer.environments.vector.jax_functions import JaxFunctions

        task = PlaygroundFunctions.load(self.task, self.info.episode_env_steps)
        if (sizes := task.sizes()) != (self.info.observation[0], self.info.action_size):
            ours = f"{self.info.observation[0]} and {self.info.action_size}"
            message = f"{self.task} has {sizes[0]} observations and {sizes[1]} actions; version 0.2.0 had {ours}"
            raise UnusableEnvironment("task", message)
        return FunctionalVector(self.info, seeds, JaxFunctions(task, self.info, len(seeds)))
