"""Import, build and describe environments of Gymnasium. Whatever their code does, an error says it.

Tests: tests/environments/test_gymnasium.py, tests/environments/test_faulty_environments.py.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.environments.interface import EnvironmentInfo, RenderingUnavailable, UnusableEnvironment
from composer.environments.suites.packages import package_of_id
from composer.environments.suites.task_tables import game_of_id, minatar_table, task_table
from composer.spec import allowed_modules
from composer.spec.calls import in_words, of_others
from composer.spec.wording import near, spelled

if TYPE_CHECKING:
    from gymnasium import Env


class Declared(NamedTuple):
    """What decides which environment is built."""

    module: str
    id: str
    kwargs: str
    """As JSON."""
    limit: int
    """Of environment steps; 0 keeps that of the registration."""
    repeat: int
    attributes: str = "{}"
    """Numbers that are set on it, as JSON."""


PLACES = {"Ant": 2, "HalfCheetah": 1, "Hopper": 1, "Humanoid": 2, "Swimmer": 2, "Walker2d": 1}
"""Coordinates of the place, by task of MuJoCo: observations have them where ``kwargs`` say so."""
_SHOWS_PLACE = json.dumps({"exclude_current_positions_from_observation": False})
_known: dict[Declared, tuple[object, EnvironmentInfo]] = {}
"""What was found of each, and the registration that it was found with: an id may be registered anew."""


def known(declared: Declared) -> EnvironmentInfo | None:
    """What ``discover`` has found in this process, if the id is registered as it was then."""
    found = _known.get(declared)
    return found[1] if found is not None and found[0] is _registration(declared.id) else None


def discover(declared: Declared) -> None:
    """Describe the environment: from the table of MuJoCo's tasks, else built once. Raises UnusableEnvironment."""
    if known(declared) is not None:
        return
    if (info := _tabled(declared)) is not None:
        _known[declared] = _registration(declared.id), info
    else:
        environment = make(declared)
        try:
            _known[declared] = _registration(declared.id), _described(declared, environment)
        finally:
            _close(environment)


def _tabled(declared: Declared) -> EnvironmentInfo | None:
    """What the table has of a task that is built as it is registered; None where that has to be tried."""
    task = task_table("gymnasium").get(declared.id)
    place = {"{}": 0, _SHOWS_PLACE: PLACES.get(declared.id.partition("-")[0])}.get(declared.kwargs)
    if task is None or place is None or declared.module or declared.attributes != "{}" or not is_own(declared.id):
        return None
    return EnvironmentInfo(
        observation=(task.observation_size + place,),
        action_size=task.action_size,
        episode_env_steps=declared.limit or task.episode_env_steps,
        action_repeat=declared.repeat,
        terminates=True,
    )


def is_own(name: str) -> bool:
    """Whether the id is Gymnasium's own, or no id at all: building it executes no code of others."""
    found = _registration(name)
    entry = found.entry_point if found is not None else ""
    return found is None or (entry if isinstance(entry, str) else entry.__module__).startswith("gymnasium.")


def make(declared: Declared) -> Env[Any, Any]:
    """Import the module and build the environment. Raises UnusableEnvironment."""
    import gymnasium
    from gymnasium.error import DependencyNotInstalled

    name, kwargs = declared.id, json.loads(declared.kwargs)
    if declared.module:
        try:
            allowed_modules.import_allowed(declared.module)
        except allowed_modules.ModuleRefused as error:
            raise UnusableEnvironment("module", str(error)) from error
    if name not in gymnasium.registry:
        raise UnusableEnvironment("id", f"no environment registered as {spelled(name)}{_meant(name)}")
    try:
        with of_others():
            made = gymnasium.make(name, declared.limit or None, disable_env_checker=True, **kwargs)
    except DependencyNotInstalled as error:
        raise UnusableEnvironment("id", f"{name} needs a package that is not installed: {error}") from error
    except Exception as error:
        key = "kwargs" if kwargs and isinstance(error, TypeError) else "id"
        raise UnusableEnvironment(key, f"{name} cannot be built: {in_words(error)}{_drawing_hint(error)}") from error
    _set_attributes(made, name, json.loads(declared.attributes))
    return made


def _set_attributes(environment: Env[Any, Any], name: str, attributes: Mapping[str, float]) -> None:
    """Set numbers of the environment within all wrappers. Raises UnusableEnvironment where it has no such number."""
    bare = environment.unwrapped
    for key, value in attributes.items():
        present = getattr(bare, key, None)
        if isinstance(present, bool) or not isinstance(present, int | float):
            numbers = [each for each in dir(bare) if isinstance(getattr(bare, each, None), float) and each[0] != "_"]
            meant = near(key, numbers)
            hint = f"did you mean {meant!r}?" if meant else f"it has {', '.join(numbers[:12])}"
            _close(environment)
            raise UnusableEnvironment("attributes", f"{name} has no number {key!r}; {hint}")
        setattr(bare, key, value)


def drawing_arguments(name: str, kwargs: Mapping[str, Any]) -> dict[str, str]:
    """The argument with which an environment is built to draw. Raises RenderingUnavailable where it has no pictures."""
    from gymnasium.envs.registration import load_env_creator

    if "render_mode" in kwargs:
        return {}
    found = _registration(name)
    try:
        with of_others():
            entry: Any = found.entry_point if found is not None else None
            creator = load_env_creator(entry) if isinstance(entry, str) else entry
            modes = (getattr(creator, "metadata", None) or {}).get("render_modes", ())
            if "rgb_array" in modes:
                return {"render_mode": "rgb_array"}
    except Exception as error:
        raise RenderingUnavailable(f"{name} does not say how it can be drawn: {in_words(error)}") from error
    told = f"its metadata list {[*modes]}" if modes else "its metadata list none"
    raise RenderingUnavailable(f"{name} has no pictures: 'rgb_array' is no render mode of it ({told})")


def _described(declared: Declared, environment: Env[Any, Any]) -> EnvironmentInfo:
    from composer.environments.suites.gymnasium_spaces import UnsupportedSpace, action_layout, observation_layout

    name = declared.id
    try:
        with of_others():
            observed, acted = observation_layout(environment.observation_space), action_layout(environment.action_space)
    except UnsupportedSpace as error:
        raise UnusableEnvironment("id", f"{name}: {error}") from error
    except Exception as error:
        raise UnusableEnvironment("id", f"{name} does not tell its spaces: {in_words(error)}") from error
    steps = environment.spec.max_episode_steps if environment.spec else None
    if not steps:
        message = f"{name} has no time limit of its own: give the number of steps of an episode"
        raise UnusableEnvironment("episode_env_steps", message)
    return EnvironmentInfo(
        observation=observed.shape,
        action_size=acted.size,
        episode_env_steps=steps,
        action_repeat=declared.repeat,
        terminates=True,
        discrete=acted.discrete,
        pictures=observed.pictures,
    )


def _drawing_hint(error: BaseException) -> str:
    """A hint for an error of a library that draws, where the user has chosen how MuJoCo draws."""
    chosen, frames = os.environ.get("MUJOCO_GL"), traceback.extract_tb(error.__traceback__)
    is_drawing = any(part in frame.filename for frame in frames for part in ("/mujoco/", "/OpenGL/", "/glfw/"))
    return f" (MUJOCO_GL={chosen} chooses how MuJoCo draws: unset it)" if chosen and is_drawing else ""


def _meant(name: str) -> str:
    """What the id of no environment was probably meant to be."""
    import gymnasium

    module, colon, rest = name.partition(":")
    if colon:
        return f"; did you mean module = {spelled(module)} and id = {spelled(rest)}?"
    suite, _, task = name.rpartition("/")
    game = game_of_id(name)
    if suite == "MinAtar" and game in minatar_table():
        return f'; write environment = {{ kind = "minatar", game = "{game}" }}'
    if game:
        return f'; Atari games are environment = {{ kind = "atari", game = "{game}" }}'
    if suite == "dm_control":
        return f'; write environment = {{ kind = "dm_control", task = "{task.rpartition("-v")[0] or task}" }}'
    if found := package_of_id(name):
        return f"; {found.advice()}"
    versions = [known for known in gymnasium.registry if known.rpartition("-v")[0] == name.rpartition("-v")[0]]
    meant = max(versions, default=None) or near(name, gymnasium.registry)
    return f"; did you mean {meant!r}?" if meant else "; the id of a package needs that package as 'module'"


def _registration(name: str) -> Any:
    import gymnasium

    return gymnasium.registry.get(name)


def _close(environment: Env[Any, Any]) -> None:
    """Close an environment that was only described: what it raises harms nothing, and training would say it again."""
    try:
        with of_others():
            environment.close()
    except Exception:
        return
