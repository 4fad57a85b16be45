"""Gymnasium's spaces: observations as vectors or pictures, held to their space; actions from vectors, within theirs.

An observation is taken where its space holds it: of the declared shape, of a type whose numbers the declared one has,
an index within its range. Numbers of floating point may overstep finite bounds by as much as the bounds are apart, for
real environments overstep by a little, and a network takes any number; beyond that the bounds describe other data.
Tests: tests/environments/test_gymnasium.py, tests/environments/test_gymnasium_spaces.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from composer.environments.interface import InvalidResult
from composer.environments.suites.action_bounds import offset_and_scale
from composer.spec.shape import Shape
from composer.spec.wording import shorten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations

    Read = Callable[[Any], NDArray[Any]]

LARGEST_SCALED = 1e9
"""Finite bounds up to here are scaled to; [-1, 1] within larger ones is left as it is."""
_TAKEN = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
"""Kinds of numpy's types whose numbers are taken, by the declared kind."""


class UnsupportedSpace(ValueError):
    """A space that neither a vector nor a picture can represent."""


@dataclass(frozen=True)
class ObservationLayout:
    """How observations of a space become vectors or pictures."""

    shape: Shape
    pictures: bool
    convert: Callable[[Any], Observations]
    """Raises InvalidResult for what is not in the space."""


@dataclass(frozen=True)
class ActionLayout:
    """How vectors in [-1, 1] or one-hot choices become actions of a space."""

    size: int
    discrete: bool
    choose: Callable[[NDArray[np.float32]], Any]


def observation_layout(space: spaces.Space[Any]) -> ObservationLayout:
    """Pictures with channels first, or one float32 vector. Raises UnsupportedSpace."""
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3):
        return _pictures(space)
    size, read = _flat(space, "observation")
    if size == 0:
        raise UnsupportedSpace(f"observations in {_text(space)} are empty")
    return ObservationLayout((size,), False, read)


def action_layout(space: spaces.Space[Any]) -> ActionLayout:
    """A choice or a box. Raises UnsupportedSpace."""
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return ActionLayout(int(space.n), True, lambda action: start + int(action.argmax()))
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating) or 0 in space.shape:
        raise UnsupportedSpace(f"actions in {_text(space)} are neither a choice (Discrete) nor numbers (Box of floats)")
    low, high = space.low, space.high
    lowest, highest = low.astype(np.float64), high.astype(np.float64)
    offset, scale = offset_and_scale(lowest, highest, LARGEST_SCALED)
    is_scaled = np.maximum(np.abs(lowest), np.abs(highest)) <= LARGEST_SCALED
    if (~is_scaled & ((lowest > -1.0) | (highest < 1.0))).any():
        raise UnsupportedSpace(
            f"actions in {_text(space)} leave [-1, 1], and have no two bounds of at most {LARGEST_SCALED:g} to scale "
            "it to: wrap the environment so that they have (gymnasium.wrappers.TransformAction)"
        )
    shape, dtype = space.shape, space.dtype

    def choose(action: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        chosen: NDArray[np.floating[Any]] = (action.reshape(shape) * scale + offset).astype(dtype)
        # Rounding may step over a bound by the last bit.
        np.minimum(np.maximum(chosen, low, out=chosen), high, out=chosen)
        return chosen

    return ActionLayout(int(np.prod(shape)), False, choose)


def _pictures(space: spaces.Box) -> ObservationLayout:
    """[h, w], [h, w, c] or [c, h, w]: of the outer axes of three, the shorter one is the channels."""
    shape, read = space.shape, _box(space, "observation")
    if len(shape) == 2:
        return ObservationLayout((1, *shape), True, lambda raw: read(raw)[None])
    if shape[2] <= shape[0]:
        return ObservationLayout((shape[2], *shape[:2]), True, lambda raw: np.moveaxis(read(raw), 2, 0))
    return ObservationLayout(shape, True, read)


def _flat(space: spaces.Space[Any], name: str) -> tuple[int, Read]:
    """Size and reader of an observation as a flat float32 vector, in the order of Gymnasium's ``flatten``."""
    if isinstance(space, spaces.Box):
        read = _box(space, name)
        return int(np.prod(space.shape)), lambda raw: read(raw).reshape(-1).astype(np.float32)
    if isinstance(space, spaces.Discrete):
        return int(space.n), _choice(space, name)
    if isinstance(space, spaces.Dict):
        return _joined(space, name, {key: _flat(each, f"{name}[{key!r}]") for key, each in space.spaces.items()})
    if isinstance(space, spaces.Tuple):
        return _joined(space, name, {index: _flat(each, f"{name}[{index}]") for index, each in enumerate(space.spaces)})
    try:
        size = spaces.flatdim(space) if space.is_np_flattenable else None
    except NotImplementedError:
        size = None
    if size is None:
        what = "has no fixed size" if type(space).__module__.startswith("gymnasium.") else "is a space of its own"
        raise UnsupportedSpace(
            f"{name} in {_text(space)} {what}, of which no vector can be made: register the environment with a wrapper "
            "that leaves it out or encodes it (gymnasium.ObservationWrapper)"
        )
    return size, _contained(space, name)


def _box(space: spaces.Box, name: str) -> Read:
    shape, dtype = space.shape, space.dtype
    low, high = _limits(space)
    is_bounded, is_whole = low is not None, dtype.kind in "iu"

    def read(raw: Any) -> NDArray[Any]:
        array: NDArray[Any] = raw if isinstance(raw, np.ndarray) else _array(raw, space, name)
        if array.shape != shape or (array.dtype != dtype and array.dtype.kind not in _TAKEN[dtype.kind]):
            raise _outside(raw, space, name)
        if is_bounded and (_any(array < low) or _any(array > high)):
            raise _out_of_bounds(array, space, name)
        if array.dtype != dtype and is_whole and (_any(array < space.low) or _any(array > space.high)):
            raise _out_of_bounds(array, space, name)
        return array

    return read


def _any(mask: NDArray[np.bool_]) -> bool:
    """Whether one is true; on the few numbers of an observation, ``any`` takes five times as long."""
    return 1 in mask.tobytes()


def _limits(space: spaces.Box) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """What an array of the declared type may not pass; None where it cannot."""
    if space.dtype.kind == "b":
        return None, None
    if space.dtype.kind != "f":
        range_of = np.iinfo(space.dtype)  # type: ignore[type-var]
        is_whole = (space.low == range_of.min).all() and (space.high == range_of.max).all()
        return (None, None) if is_whole else (space.low, space.high)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    if not (np.isfinite(low) | np.isfinite(high)).any():
        return None, None
    with np.errstate(invalid="ignore", over="ignore"):
        both = np.isfinite(low) & np.isfinite(high)
        slack = np.where(both, high - low, np.maximum(1.0, np.where(np.isfinite(low), np.abs(low), np.abs(high))))
        return (low - slack).astype(space.dtype), (high + slack).astype(space.dtype)


def _array(raw: Any, space: spaces.Space[Any], name: str) -> NDArray[Any]:
    try:
        return np.asarray(raw)
    except (ValueError, TypeError, RuntimeError):
        raise _outside(raw, space, name) from None


def _choice(space: spaces.Discrete, name: str) -> Read:
    count, start = int(space.n), int(space.start)

    def read(raw: Any) -> NDArray[Any]:
        if not isinstance(raw, int | np.integer):
            array = _array(raw, space, name)
            if array.shape != () or array.dtype.kind not in "iu":
                raise _outside(raw, space, name)
            raw = array.item()
        index = int(raw) - start
        if not 0 <= index < count:
            raise _outside(raw, space, name)
        vector = np.zeros(count, np.float32)
        vector[index] = 1.0
        return vector

    return read


def _joined(space: spaces.Space[Any], name: str, parts: Mapping[Any, tuple[int, Read]]) -> tuple[int, Read]:
    kind = Mapping if isinstance(space, spaces.Dict) else tuple | list
    readers = [(key, read) for key, (_, read) in parts.items()]

    def read(raw: Any) -> NDArray[Any]:
        if not isinstance(raw, kind):
            raise _outside(raw, space, name)
        keys = raw.keys() if isinstance(raw, Mapping) else range(len(raw))
        if len(keys) != len(readers) or any(key not in keys for key, _ in readers):
            raise InvalidResult(f"{name} has the keys {[*keys]}; declared are {[*parts]}")
        return np.concatenate([part(raw[key]) for key, part in readers])

    return sum(size for size, _ in parts.values()), read


def _contained(space: spaces.Space[Any], name: str) -> Read:
    """A space of Gymnasium's that judges itself: MultiDiscrete, MultiBinary, Text, OneOf."""

    def read(raw: Any) -> NDArray[Any]:
        if not space.contains(raw):
            raise _outside(raw, space, name)
        return np.asarray(spaces.flatten(space, raw), np.float32)

    return read


def _outside(raw: Any, space: spaces.Space[Any], name: str) -> InvalidResult:
    if isinstance(raw, np.ndarray) and raw.shape:
        got = f"an array of shape {[*raw.shape]} and type {raw.dtype}"
    else:
        got = f"{shorten(repr(raw))} ({type(raw).__name__})"
    return InvalidResult(f"{name} is {got}, which is not in its declared space {_text(space)}")


def _out_of_bounds(array: NDArray[Any], space: spaces.Box, name: str) -> InvalidResult:
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.maximum(space.low.astype(np.float64) - array, array - space.high.astype(np.float64))
    at = np.unravel_index(int(np.nanargmax(apart)), array.shape)
    where = f" at {[int(index) for index in at]}" if at else ""
    return InvalidResult(
        f"{name} is {array[at]}{where}, which is beyond the declared bounds {space.low[at]} to {space.high[at]} of "
        f"{_text(space)}"
    )


def _text(space: spaces.Space[Any]) -> str:
    """The space in words; a class of its own may fail to say."""
    try:
        return shorten(str(space), 200)
    except Exception:
        return type(space).__name__
