"""Environments that do what none should: they exit, return what is not in their spaces, cannot draw or be closed."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

BOX = spaces.Box(-1, 1, (3,), np.float32)
PICTURE = spaces.Box(0, 255, (8, 8, 3), np.uint8)
PARTS = spaces.Dict(at=spaces.Box(-1, 1, (2,), np.float32), where=spaces.Discrete(3))


class Sound(gymnasium.Env[Any, Any]):
    """Ten steps of noise: what the others are besides their fault."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012
    observation_space: spaces.Space[Any] = BOX
    action_space = spaces.Discrete(2)
    fault = ""
    """What goes wrong, in the fourth step unless its name says where."""

    def __init__(self, observed: Any = None) -> None:
        self.steps, self._observed = 0, observed
        if self.fault == "exits when built":
            sys.exit(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        if self.fault == "exits in reset":
            sys.exit(0)
        if self.fault == "interrupts in reset":
            raise KeyboardInterrupt
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        told: list[Any] = [self.observation(), 1.0, self.steps >= 10, False, {}]
        if self.steps != 4:
            return tuple(told)
        raised = {"exits": SystemExit(0), "interrupts": KeyboardInterrupt("mine"), "is ended": GeneratorExit()}
        if self.fault in raised:
            raise raised[self.fault]
        rewards = {"one in a list": np.ones(1), "text": "1.5", "nothing": None, "two": np.ones(2), "nan": np.nan}
        told[1] = rewards.get(self.fault.removeprefix("rewards "), 1.0)
        ends = {"text": "False", "two": np.array([True, False]), "nothing": None, "a number": 2}
        told[2] = ends.get(self.fault.removeprefix("ends "), told[2])
        return tuple(told[:-1] if self.fault == "tells four" else told)

    def observation(self) -> Any:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def close(self) -> None:
        if self.fault == "exits in close":
            sys.exit(0)
        if self.fault == "raises in close":
            raise RuntimeError("no window to close")


class Drawn(Sound):
    """One that draws, or says that it does; ``fault`` names what."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()
        self.render_mode = render_mode
        if render_mode is not None and self.fault == "has no display":
            raise RuntimeError("cannot open a display")

    def render(self) -> Any:
        if self.fault == "exits in render":
            sys.exit(3)
        picture = np.zeros((15, 17, 3), np.uint8)
        drawn = {"nothing": None, "a list": [picture], "numbers": picture / 255, "more and more": picture}
        grown = np.zeros((16 + self.steps, 16, 3), np.uint8)
        return grown if self.fault == "more and more" else drawn.get(self.fault, picture)


class Observed(Sound):
    """Observations of the given space, and then what ``wrong`` says."""

    wrong: Any = None

    def observation(self) -> Any:
        return self.wrong


class OwnSpace(spaces.Space[str]):
    """A space of one's own, which leaves to its base class whether it can be flattened."""

    def __init__(self) -> None:
        super().__init__(dtype=str)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return "go"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


class Configured(Sound):
    """One whose arguments are tables and lists of lists."""

    def __init__(self, config: dict[str, Any], maze: list[list[int]]) -> None:
        super().__init__()
        assert isinstance(maze, list) and isinstance(maze[0], list)
        self.observation_space = spaces.Box(-1, 1, (config["sizes"]["observation"] + len(maze),), np.float32)

    def observation(self) -> Any:
        return np.zeros(self.observation_space.shape, np.float32)


STEPS = ("exits", "interrupts", "is ended", "exits in reset", "interrupts in reset", "exits when built", "tells four")
RESULTS = tuple(
    [f"rewards {what}" for what in ("one in a list", "text", "nothing", "two", "nan")]
    + [f"ends {what}" for what in ("text", "two", "nothing", "a number")]
)
CLOSING = ("exits in close", "raises in close")
DRAWING = ("has no display", "exits in render", "nothing", "a list", "numbers", "more and more")
WRONG: dict[str, tuple[spaces.Space[Any], Any]] = {
    "short": (BOX, np.zeros(1, np.float32)),
    "scalar": (BOX, np.float32(0.5)),
    "column": (BOX, np.zeros((3, 1), np.float32)),
    "ragged": (BOX, [[1.0], [1.0, 2.0], 3.0]),
    "text": (BOX, np.array(["a", "b", "c"])),
    "complex": (BOX, np.zeros(3, complex)),
    "nothing": (BOX, None),
    "far": (BOX, np.full(3, 50, np.float32)),
    "transposed": (spaces.Box(-1, 1, (2, 3), np.float32), np.zeros((3, 2), np.float32)),
    "fraction": (spaces.Box(0, 9, (2,), np.int64), np.full(2, 0.5)),
    "above": (spaces.Box(0, 9, (2,), np.int64), np.array([3, 10])),
    "negative index": (spaces.Discrete(5), -1),
    "index beyond": (spaces.Discrete(5, start=2), 7),
    "float index": (spaces.Discrete(5), 1.0),
    "fractions of bytes": (PICTURE, np.full((8, 8, 3), 0.9, np.float32)),
    "more than a byte": (PICTURE, np.full((8, 8, 3), 300, np.int64)),
    "less than a byte": (PICTURE, np.full((8, 8, 3), -1, np.int64)),
    "pixel": (PICTURE, np.full((1, 1, 3), 9, np.uint8)),
    "masks of 0 and 255": (spaces.Box(0, 1, (8, 8), np.uint8), np.full((8, 8), 255, np.uint8)),
    "without a key": (PARTS, {"at": np.zeros(2, np.float32)}),
    "with one key more": (PARTS, {"at": np.zeros(2, np.float32), "where": 0, "when": 1}),
    "wrong inside": (PARTS, {"at": np.zeros(2, np.float32), "where": 3}),
    "no table": (PARTS, np.zeros(5, np.float32)),
    "pair of one": (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), (0,)),
    "many choices": (spaces.MultiDiscrete([2, 3]), np.array([1, 3])),
    "many bits": (spaces.MultiBinary(3), np.array([1, 0, 2])),
}
RIGHT: dict[str, tuple[spaces.Space[Any], Any, list[float]]] = {
    "list": (BOX, [0.5, 0.25, 1.0], [0.5, 0.25, 1.0]),
    "double": (BOX, np.array([0.5, 0.25, 1.0]), [0.5, 0.25, 1.0]),
    "integers": (BOX, np.array([0, 1, -1]), [0, 1, -1]),
    "a little beyond": (BOX, np.array([1.125, 0, -1.5], np.float32), [1.125, 0, -1.5]),
    "one bound": (spaces.Box(0, np.inf, (2,), np.float32), np.array([1e6, -0.5], np.float32), [1e6, -0.5]),
    "integers of bytes": (spaces.Box(0, 255, (2,), np.uint8), np.array([3, 255]), [3, 255]),
    "scalar choice": (spaces.Discrete(3, start=1), np.array(2), [0, 1, 0]),
    "parts": (PARTS, {"where": np.int64(1), "at": [0.5, 1.0]}, [0.5, 1.0, 0, 1, 0]),
    "bits": (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
    "choices": (spaces.MultiDiscrete([2, 3]), np.array([1, 2]), [0, 1, 0, 0, 1]),
}


def slug(text: str) -> str:
    """A name for an id."""
    return "".join(word.capitalize() for word in text.split())


def register(name: str, base: type[Sound], **members: Any) -> None:
    gymnasium.register(f"faulty/{name}-v0", type(name, (base,), members), max_episode_steps=20)


register("Sound", Sound)
register("Drawn", Drawn)
gymnasium.register("faulty/Configured-v0", Configured, max_episode_steps=20)
register("OwnSpace", Observed, observation_space=spaces.Dict(image=PICTURE, mission=OwnSpace()))
for fault in (*STEPS, *RESULTS, *CLOSING):
    register(slug(fault), Sound, fault=fault)
for fault in DRAWING:
    register(f"Draws{slug(fault)}", Drawn, fault=fault)
for fault, (declared, value) in WRONG.items():
    register(f"Observes{slug(fault)}", Observed, observation_space=declared, wrong=value)
