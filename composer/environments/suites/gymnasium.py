"""Any environment that is registered with Gymnasium. Source: Towers et al., arXiv:2407.17032.

Its spaces are known only after it is built: reading a blueprint of this kind builds one environment, once, and so
imports Gymnasium. Spaces and steps are in ``gymnasium_single``. Tests: tests/environments/test_gymnasium.py.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.base import SingleSimulator
from composer.environments.interface import EnvironmentInfo, SingleEnvironment
from composer.spec.family import Items
from composer.spec.wording import spelled, suggestion

if TYPE_CHECKING:
    from gymnasium import Env

Integer = Annotated[int, Field(ge=-(10**15), le=10**15)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]
Text = Annotated[str, Field(max_length=1000)]
Entries = Field(max_length=1000)
Plain = (
    bool
    | Integer
    | Number
    | Text
    | Annotated[Items[Integer], Entries]
    | Annotated[Items[Number], Entries]
    | Annotated[Items[Text], Entries]
)
"""Values of keyword arguments."""


STEP_REWARDS = {
    "CartPole-v0": (0.0, 1.0),
    "CartPole-v1": (0.0, 1.0),
    "MountainCar-v0": (-1.0, 0.0),
    "Acrobot-v1": (-1.0, 0.0),
    "Pendulum-v1": (-(math.pi**2 + 0.1 * 8**2 + 0.001 * 2**2), 0.0),
}
"""Lowest and highest reward of one step."""


class UnusableEnvironment(ValueError):
    """An environment that is not installed or does not fit; ``key`` is the key of the blueprint to change."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Gymnasium(SingleSimulator, kind="gymnasium"):
    """An environment by its Gymnasium id.

    Observations: pictures (uint8 boxes of two or three axes) stay pictures with channels first; all other spaces
    become one vector as Gymnasium flattens them, so that a choice is one-hot. Actions: a choice, or a box; where both
    bounds of an entry are finite, [-1, 1] is scaled to them. An episode has to depend on nothing but the seed of its
    reset.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gymnasium", "id": "CartPole-v1"}

    module: Annotated[str, Field(pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?$", max_length=200)] = ""
    """An installed Python module that registers the id when it is imported; empty for Gymnasium's own."""
    id: Annotated[str, Field(min_length=1, max_length=200)]
    """The id with its version: ``CartPole-v1``."""
    kwargs: dict[str, Plain] = Field(default={}, max_length=64)
    """Keyword arguments of its constructor."""
    episode_env_steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Time limit in environment steps; 0 keeps the limit of its registration."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        try:
            self.info  # noqa: B018 - builds the environment and keeps its description
        except UnusableEnvironment as error:
            reason = PydanticCustomError("environment_unusable", "{message}", {"message": str(error)})
            line = {"type": reason, "loc": (error.key,), "input": getattr(self, error.key)}
            raise ValidationError.from_exception_data("Gymnasium", [line]) from error  # type: ignore[list-item]
        return self

    @property
    @override
    def title(self) -> str:
        return self.id

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        """Of Gymnasium's classic tasks as they are registered; other rewards are not known to be bounded."""
        bounds = STEP_REWARDS.get(self.id) if not (self.kwargs or self.module) else None
        if bounds is None:
            return super().metric_range
        return bounds[0] * self.info.episode_env_steps, bounds[1] * self.info.episode_env_steps

    def describe(self) -> EnvironmentInfo:
        """From the spaces of an environment that is built for it; raises UnusableEnvironment."""
        declared = json.dumps([self.module, self.id, self.kwargs, self.episode_env_steps, self.action_repeat])
        return _described(declared)

    @override
    def libraries(self) -> tuple[str, ...]:
        from composer.environments.suites.gymnasium_libraries import libraries_of

        self.info  # noqa: B018 - imports the module that registers the id
        own = [self.module.partition(".")[0]] if self.module else []
        return tuple(dict.fromkeys(["gymnasium", *own, *libraries_of(self.id)]))

    @override
    def single(self) -> SingleEnvironment:
        from composer.environments.suites.gymnasium_single import GymnasiumSingle

        return GymnasiumSingle(make(self.module, self.id, self.kwargs, self.episode_env_steps))


@lru_cache(maxsize=64)
def _described(declared: str) -> EnvironmentInfo:
    from composer.environments.suites.gymnasium_single import (
        UnsupportedSpace,
        action_layout,
        observation_layout,
    )

    module, name, kwargs, limit, repeat = json.loads(declared)
    environment = make(module, name, kwargs, limit)
    try:
        observed, acted = observation_layout(environment.observation_space), action_layout(environment.action_space)
    except UnsupportedSpace as error:
        raise UnusableEnvironment("id", f"{name}: {error}") from error
    finally:
        environment.close()
    steps = environment.spec.max_episode_steps if environment.spec else None
    if not steps:
        message = f"{name} has no time limit of its own: give the number of steps of an episode"
        raise UnusableEnvironment("episode_env_steps", message)
    return EnvironmentInfo(
        observation=observed.shape,
        action_size=acted.size,
        episode_env_steps=steps,
        action_repeat=repeat,
        terminates=True,
        discrete=acted.discrete,
        pictures=observed.pictures,
    )


def make(module: str, name: str, kwargs: Mapping[str, Any], limit: int) -> Env[Any, Any]:
    """Build the environment, with pictures where it has them. Raises UnusableEnvironment."""
    import gymnasium
    from gymnasium.error import DependencyNotInstalled

    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UnusableEnvironment("module", f"module {spelled(module)} cannot be imported: {error}") from error
    if name not in gymnasium.registry:
        raise UnusableEnvironment(
            "id", f"no environment registered as {spelled(name)}{suggestion(name, gymnasium.registry)}"
        )
    drawn = {"render_mode": "rgb_array"} if _draws(name) else {}
    try:
        return gymnasium.make(name, limit or None, disable_env_checker=True, **{**drawn, **kwargs})
    except DependencyNotInstalled as error:
        raise UnusableEnvironment("id", f"{name} needs a package that is not installed: {error}") from error
    except Exception as error:
        key = "kwargs" if kwargs and isinstance(error, TypeError) else "id"
        raise UnusableEnvironment(key, f"{name} cannot be built: {type(error).__name__}: {error}") from error


def _draws(name: str) -> bool:
    """Whether its class declares that it returns pictures."""
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    entry: Any = gymnasium.registry[name].entry_point
    try:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
    except Exception:  # Building it reports what is missing.
        return False
    return "rgb_array" in (getattr(creator, "metadata", None) or {}).get("render_modes", ())
