"""Gymnasium's spaces in their own terms: the parts of an observation, and an action.

Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from composer.environments.native import NativeAction, NativePart, NativeSpaces
from composer.environments.suites.action_bounds import offset_and_scale
from composer.environments.suites.gymnasium_spaces import LARGEST_SCALED
from composer.spec.calls import of_others

if TYPE_CHECKING:
    from gymnasium import Env


def native_spaces(environment: Env[Any, Any]) -> NativeSpaces:
    """Of an environment that was built to be asked; closes it."""
    with of_others():
        observed, acted = environment.observation_space, environment.action_space
        environment.close()
    parts = tuple(_parts(observed, ""))
    flattened = [part.name for part, space in zip(parts, _leaves(observed), strict=True) if not _is_plain(space)]
    notes = (f"{', '.join(flattened)}: as gymnasium.spaces.flatten gives it",) if flattened else ()
    return NativeSpaces(parts, _action(acted), notes)


def _parts(space: spaces.Space[Any], name: str) -> Iterator[NativePart]:
    """Parts in the order in which composer joins them; names of nested spaces are joined by dots."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, each in inner:
            yield from _parts(each, f"{name}.{key}" if name else str(key))
        return
    pictures = not name and isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)
    name = name or "observation"
    if isinstance(space, spaces.Discrete):
        yield NativePart(name, (), "int64", "one-hot", int(space.start), int(space.n))
    elif pictures:
        shape = tuple(space.shape or ())
        last = len(shape) == 3 and shape[2] <= shape[0]
        yield NativePart(name, shape, "uint8", "channels first" if last else "as it is")
    elif isinstance(space, spaces.Box):
        yield NativePart(name, space.shape, str(space.dtype), "flat")
    else:
        yield NativePart(name, (spaces.flatdim(space),), "float32", "flat")


def _leaves(space: spaces.Space[Any]) -> Iterator[spaces.Space[Any]]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for each in space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces:
            yield from _leaves(each)
    else:
        yield space


def _is_plain(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box | spaces.Discrete)


def _action(space: Any) -> NativeAction:
    """As ``action_layout`` makes it."""
    if isinstance(space, spaces.Discrete):
        return NativeAction((), "int64", int(space.start), int(space.n))
    low, high = space.low.astype(np.float64).reshape(-1), space.high.astype(np.float64).reshape(-1)
    offset, scale = offset_and_scale(low, high, LARGEST_SCALED)
    numbers = (tuple(each.tolist()) for each in (offset, scale, low, high))
    return NativeAction(space.shape, str(space.dtype), 0, 0, *numbers)
