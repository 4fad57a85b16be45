"""Suites that a package registers with Gymnasium: tasks and sizes from a table, the package imported by what runs them.

A kind names its package; its table lies in registry/suites, under the name of the kind.
Tests: tests/environments/test_registered.py.
"""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr
from typing_extensions import override

from composer.environments.interface import EnvironmentInfo, SingleEnvironment, UnusableEnvironment
from composer.environments.native import NativeSpaces
from composer.environments.success import Score, SuccessSimulator
from composer.environments.suites import gymnasium_make
from composer.environments.suites.task_tables import Task, task_table
from composer.spec.calls import in_words, of_others

if TYPE_CHECKING:
    from gymnasium import Env


class RegisteredSuite(SuccessSimulator, abstract=True):
    """Tasks of a package that few have. A kind adds the class variables, ``task`` and ``id``."""

    task_key: ClassVar[str] = "task"
    package: ClassVar[str]
    """The package: the module that registers its ids when it is imported."""
    install: ClassVar[str]
    """How to install it, in words."""
    success_key: ClassVar[str] = ""
    """The key of ``info`` that tells success; empty where ``scored_by`` is None."""

    task: str
    episode_env_steps: Annotated[int, Field(ge=0, le=10**7)] = 0
    """A time limit in environment steps that ends episodes before that of the task; 0 keeps the task's own."""
    _drawing: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def id(self) -> str:
        """The id under which the package registers the task."""
        return self.task

    def wrapped(self, made: Env[Any, Any]) -> Env[Any, Any]:
        """What the package has built, with what the kind puts around it."""
        return made

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*cls.table(),)

    @classmethod
    def table(cls) -> dict[str, Task]:
        """Every task by name."""
        return dict(task_table(cls.kind))

    @property
    @override
    def title(self) -> str:
        return self.task

    def describe(self) -> EnvironmentInfo:
        """From the table of tasks; the package is not imported."""
        task = self.table()[self.task]
        return EnvironmentInfo(
            observation=(task.observation_size,),
            action_size=task.action_size,
            episode_env_steps=min(task.episode_env_steps, self.episode_env_steps or task.episode_env_steps),
            action_repeat=self.action_repeat,
            terminates=task.terminates,
            tells_success=self.scored_by is not None,
        )

    @override
    def refusal(self) -> tuple[str, str] | None:
        if find_spec(self.package) is not None:
            return super().refusal()
        return "kind", f"{self.package} is not installed: {self.install}"

    @override
    def discover(self) -> None:
        if problem := self.refusal():
            raise UnusableEnvironment(*problem)

    @override
    def for_video(self) -> Self:
        self._register()
        drawing = self.model_copy()
        drawing._drawing = gymnasium_make.drawing_arguments(self.id, {})
        return drawing

    @override
    def libraries(self) -> tuple[str, ...]:
        return self.package, "gymnasium", "mujoco"

    @override
    def native_spaces(self) -> NativeSpaces:
        from composer.environments.suites.gymnasium_native import native_spaces

        return native_spaces(self._make())

    def single(self) -> SingleEnvironment:
        """One environment. Raises UnusableEnvironment where the package is not installed, or cannot be imported.

        Raises InvalidResult where the installed version does not fit the table.
        """
        from composer.environments.suites.gymnasium_single import GymnasiumSingle

        return GymnasiumSingle(self._make(), self.info, self.success_key)

    def _make(self) -> Env[Any, Any]:
        self._register()
        limit = self.info.episode_env_steps
        declared = gymnasium_make.Declared("", self.id, json.dumps(self._drawing), limit, 1)
        with redirect_stdout(sys.stderr):  # HumanoidBench prints.
            return self.wrapped(gymnasium_make.make(declared))

    def _register(self) -> None:
        """Import the package, which registers its ids."""
        self.discover()
        try:
            with of_others():
                importlib.import_module(self.package)
        except Exception as error:
            raise UnusableEnvironment("kind", f"{self.package} cannot be imported: {in_words(error)}") from error


class SuccessSuite(RegisteredSuite, abstract=True):
    """Tasks whose steps tell success in ``info``. A kind adds ``success_key``."""

    score: Score = "success"
    """What agents are compared by; evaluations report the return and both shares of success in any case."""

    @property
    @override
    def scored_by(self) -> Score | None:
        return self.score
