"""Any environment that is registered with Gymnasium. Source: Towers et al., arXiv:2407.17032.

Its spaces are known only after it is built. Gymnasium's own are built when a blueprint is read; those of a module, or
registered by the program, when a command runs them: reading a blueprint executes no code of others
(docs/decisions/0020-modules.md). ``gymnasium_make`` imports and builds, ``gymnasium_single`` steps.
Tests: tests/environments/test_gymnasium.py, tests/environments/test_faulty_environments.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.distractions.base import Distracted
from composer.environments.interface import EnvironmentInfo, SingleEnvironment, SpacesUnknown, UnusableEnvironment
from composer.environments.native import NativeSpaces
from composer.environments.success import Score, SuccessSimulator
from composer.environments.suites import gymnasium_make
from composer.environments.suites.constructor_arguments import Arguments
from composer.environments.suites.packages import package
from composer.environments.suites.some_entries import SomeEntries, info_of_entries
from composer.spec import allowed_modules
from composer.spec.family import Items, Spec
from composer.spec.without import Without

Entry = Annotated[int, Field(ge=0, le=10**6)]
PhysicalNumber = Annotated[float, Field(ge=-1e12, le=1e12)]
STEP_REWARDS = {
    "CartPole-v0": (0.0, 1.0),
    "CartPole-v1": (0.0, 1.0),
    "MountainCar-v0": (-1.0, 0.0),
    "Acrobot-v1": (-1.0, 0.0),
    "Pendulum-v1": (-(math.pi**2 + 0.1 * 8**2 + 0.001 * 2**2), 0.0),
}
"""Lowest and highest reward of one step."""


class Success(Spec):
    """How an environment tells that its task is solved, and what evaluations are judged by."""

    info: Annotated[str, Field(min_length=1, max_length=100)]
    """The key of ``info`` that is true, or 1, after each step that leaves the task solved: ``is_success``."""
    score: Score = "success"
    """The metric by which agents are compared; evaluations write the two others too."""


class Gymnasium(SuccessSimulator, kind="gymnasium"):
    """An environment by its Gymnasium id.

    Observations: pictures (uint8 boxes of two or three axes) stay pictures with channels first; all other spaces
    become one vector as Gymnasium flattens them, so that a choice is one-hot. Actions: a choice, or a box; where both
    bounds of an entry are finite, [-1, 1] is scaled to them. An episode has to depend on nothing but the seed of its
    reset.
    """

    task_key: ClassVar[str] = "id"
    example: ClassVar[Mapping[str, Any]] = {"kind": "gymnasium", "id": "CartPole-v1"}

    module: Annotated[str, Field(pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?$", max_length=200)] = ""
    """An installed Python module that registers the id when it is imported; empty for Gymnasium's own."""
    id: Annotated[str, Field(min_length=1, max_length=200)]
    """The id with its version: ``CartPole-v1``."""
    kwargs: Arguments = Field(default={})
    """Keyword arguments of its constructor: numbers, strings, booleans, lists and tables of them."""
    attributes: Annotated[dict[str, PhysicalNumber] | None, Field(max_length=64), Without(None)] = None
    """Numbers that are set once it is built, such as ``gravity`` and ``force_mag`` of CartPole: other physics. What the
    constructor has computed from them stays as it was."""
    success: Success | None = None
    """Where its steps tell success; absent, evaluations report returns alone."""
    observed: Annotated[Items[Entry] | None, Field(min_length=1, max_length=100_000)] = None
    """Entries of a vector that the agent sees, from 0: ``[0, 2]`` hides the velocities of CartPole. Absent: all."""
    episode_env_steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Time limit in environment steps; 0 keeps the limit of its registration."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        try:
            if not self.module and gymnasium_make.is_own(self.id):
                self.discover()
        except UnusableEnvironment as error:
            reason = PydanticCustomError("environment_unusable", "{message}", {"message": str(error)})
            line = {"type": reason, "loc": (error.key,), "input": getattr(self, error.key)}
            raise ValidationError.from_exception_data("Gymnasium", [line]) from error  # type: ignore[list-item]
        return self

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*STEP_REWARDS,)

    @property
    @override
    def title(self) -> str:
        return self.id

    @property
    @override
    def scored_by(self) -> Score | None:
        return self.success.score if self.success else None

    @property
    @override
    def return_range(self) -> tuple[float, float]:
        """Of Gymnasium's classic tasks as they are registered; other rewards are not known to be bounded."""
        bounds = STEP_REWARDS.get(self.id) if not (self.kwargs or self.module) else None
        if bounds is None:
            return super().return_range
        return bounds[0] * self.info.episode_env_steps, bounds[1] * self.info.episode_env_steps

    @property
    def info(self) -> EnvironmentInfo:
        """What ``discover`` has found in this process. Raises SpacesUnknown."""
        return self.altered(self.describe())

    @property
    @override
    def shows_pictures(self) -> bool:
        return self.info.pictures and self.info.observation[0] == 3

    @override
    def describe(self) -> EnvironmentInfo:
        found = gymnasium_make.known(self._declared())
        if found is None:
            source = f"the module {self.module!r}" if self.module else "code outside of Gymnasium"
            raise SpacesUnknown(
                f"what {self.id} observes and does is not known until training: only importing {source} tells"
            )
        found = info_of_entries(found, self.observed) if self.observed else found
        return replace(found, tells_success=True) if self.success else found

    @override
    def discover(self) -> None:
        gymnasium_make.discover(self._declared())
        if self.workers and not self.module and not gymnasium_make.is_own(self.id):
            raise UnusableEnvironment(
                "workers",
                f"{self.id} is registered by this program, which worker processes do not run: register it in a module "
                "and name that in environment.module, or set workers = 0",
            )

    @override
    def refusal(self) -> tuple[str, str] | None:
        problem = allowed_modules.refusal(self.module) if self.module else None
        known = package(self.module.partition(".")[0]) if problem and "not installed" in problem else None
        if problem is None:
            return super().refusal()
        return "module", problem + (f"; {known.install}" if known else "")

    @override
    def for_video(self) -> Self:
        more = gymnasium_make.drawing_arguments(self.id, self.kwargs)
        return self.model_copy(update={"kwargs": {**self.kwargs, **more}}) if more else self

    @override
    def libraries(self) -> tuple[str, ...]:
        from composer.environments.suites.gymnasium_libraries import libraries_of

        self.discover()  # Imports the module that registers the id.
        own = [self.module.partition(".")[0]] if self.module else []
        return tuple(dict.fromkeys(["gymnasium", *own, *libraries_of(self.id)]))

    @override
    def known_libraries(self) -> tuple[str, ...]:
        return ("gymnasium",)

    @override
    def native_spaces(self) -> NativeSpaces:
        from composer.environments.suites.gymnasium_native import native_spaces

        if self.observed:  # An exported policy takes what the agent sees.
            return super().native_spaces()
        return native_spaces(gymnasium_make.make(self._declared()))

    @override
    def single(self) -> SingleEnvironment:
        from composer.environments.suites.gymnasium_single import GymnasiumSingle

        described = gymnasium_make.known(self._declared())  # A worker has not described it.
        made = gymnasium_make.make(self._declared(with_pictures=True))
        distracted = Distracted(self.distractions) if self.distractions else None
        single = GymnasiumSingle(made, described, self.success.info if self.success else "", distracted)
        return SomeEntries(single, self.observed) if self.observed else single

    def _declared(self, with_pictures: bool = False) -> gymnasium_make.Declared:
        kwargs = {key: value for key, value in self.kwargs.items() if with_pictures or key != "render_mode"}
        limit, repeat = self.episode_env_steps, self.action_repeat
        text, attributes = (json.dumps(each, sort_keys=True) for each in (kwargs, self.attributes or {}))
        return gymnasium_make.Declared(self.module, self.id, text, limit, repeat, attributes)
