"""Batches of an environment that is written in JAX: its functions, mapped over rows and compiled.

Nothing is copied between JAX and NumPy on the CPU: both see the same memory, through DLPack. The first call compiles,
for as long as a minute or two; JAX keeps what it has compiled in a folder of composer's cache, unless it is told
another one. Legend: n environments, r rows among them, a entries of an action.
Tests: tests/environments/test_craftax.py.
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from composer.environments.vector.batch_functions import Moved, Present

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jax
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo

Tree = Any
"""A state of JAX arrays, nested as the environment likes."""
ROWS_AT_ONCE = 16
"""Episodes that an accelerator begins in one call. A CPU begins one after the other: mapped over rows, both branches of
every condition are computed (Craftax-Classic: 1.6 ms for each instead of 3.6)."""


class JaxEnvironment(Protocol):
    """One environment as pure functions, which are traced. States keep shapes and types."""

    def reset(self, key: jax.Array) -> Tree:
        """The first state of an episode; ``key [2]``, uint32."""

    def step(self, key: jax.Array, state: Tree, action: jax.Array) -> tuple[Tree, jax.Array, jax.Array, jax.Array]:
        """State, reward, terminated, truncated after one environment step; ``action`` is an index or ``[a]``."""

    def observe(self, state: Tree) -> jax.Array:
        """float32, or uint8 of pictures ``[channels, height, width]``."""

    def scores(self, state: Tree) -> dict[str, jax.Array]:
        """Scores of the episode so far, by the name of their evaluation metric."""

    def render(self, state: Tree) -> jax.Array:
        """A picture ``[height, width, 3]``, uint8."""


class JaxFunctions:
    """``BatchFunctions`` of a ``JaxEnvironment``."""

    def __init__(self, environment: JaxEnvironment, info: EnvironmentInfo, n: int) -> None:
        """For n environments; nothing is compiled before it is called."""
        import jax

        _keep_compiled(jax)
        self._jax, self._environment, self._info, self._n = jax, environment, info, n
        self._rows_at_once = 1 if jax.default_backend() == "cpu" else min(ROWS_AT_ONCE, n)
        self._example = jax.eval_shape(environment.reset, jax.ShapeDtypeStruct((2,), np.uint32))
        leaves, self._tree = jax.tree.flatten(self._example)
        self._leaves = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves]
        self._begin = jax.jit(jax.vmap(self._begun))
        self._place = jax.jit(_placed, donate_argnums=0)
        self._observe = jax.jit(jax.vmap(environment.observe))
        self._move = jax.jit(jax.vmap(self._moved))
        self._draw = jax.jit(environment.render)

    def start(self, seeds: NDArray[np.int64]) -> Present:
        """Begin from memory without content."""
        zeros = self._jax.numpy.zeros
        state = self._tree.unflatten([zeros((self._n, *shape), kind) for shape, kind in self._leaves])
        shape = self._n, *self._info.observation
        seen = np.zeros(shape, np.uint8) if self._info.pictures else np.zeros(shape, np.float32)
        return self.restart(Present(state, seen), np.arange(self._n), seeds)

    def restart(self, present: Present, rows: NDArray[np.int64], seeds: NDArray[np.int64]) -> Present:
        """Each different episode is begun once."""
        state, observation, each = present.state, present.observation.copy(), self._rows_at_once
        begun, place = np.unique(seeds, return_inverse=True)
        for first in range(0, len(begun), each):
            fresh, seen = self._begin(_keys(np.resize(begun[first : first + each], each)))
            taken = ((place >= first) & (place < first + each)).nonzero()[0]
            for start in range(0, len(taken), each):
                some = taken[start : start + each]
                # Rows beyond the last are dropped: one program serves any number of rows.
                where, of = np.full(each, self._n), np.zeros(each, np.int64)
                where[: len(some)], of[: len(some)] = rows[some], place[some] - first
                state = self._place(state, fresh, where, of)
            observation[rows[taken]] = np.asarray(seen)[place[taken] - first]
        return Present(state, observation)

    def score_names(self) -> Sequence[str]:
        """Found by tracing, without computing anything."""
        return (*self._jax.eval_shape(self._environment.scores, self._example),)

    def step(
        self, state: Tree, seeds: NDArray[np.int64], decisions: NDArray[np.int64], actions: NDArray[np.float32]
    ) -> Moved:
        """One call; what an ended row would do in the rest of an action repeat is left out."""
        chosen = actions.argmax(1).astype(np.int32) if self._info.discrete else actions
        state, observation, scores, *told = self._move(_keys(seeds), decisions.astype(np.uint32), state, chosen)
        reward, steps, terminated, truncated = (np.array(each) for each in told)
        found = {name: np.array(values, np.float64) for name, values in scores.items()}
        present = Present(state, _on_host(observation))
        return Moved(present, reward, steps.astype(np.int64), terminated, truncated, found)

    def packed(self, state: Tree) -> NDArray[np.uint8]:
        """All arrays one after another, in the order of the tree."""
        rows = [np.asarray(leaf).reshape(self._n, -1).view(np.uint8) for leaf in self._jax.tree.leaves(state)]
        packed: NDArray[np.uint8] = np.concatenate(rows, axis=1)
        return packed

    def unpacked(self, packed: NDArray[np.uint8]) -> Present:
        """Raises ValueError where the bytes are those of other arrays."""
        sizes = [math.prod(shape) * kind.itemsize for shape, kind in self._leaves]
        if packed.shape != (self._n, sum(sizes)):
            raise ValueError(
                f"a state of {packed.shape[1]} bytes; this version of the simulator has {sum(sizes)}: another version "
                "has written it"
            )
        parts = np.split(packed, np.cumsum(sizes)[:-1], axis=1)
        leaves = [
            self._jax.numpy.array(np.ascontiguousarray(part).view(kind).reshape(self._n, *shape))
            for part, (shape, kind) in zip(parts, self._leaves, strict=True)
        ]
        state = self._tree.unflatten(leaves)
        return Present(state, _on_host(self._observe(state)))

    def render(self, state: Tree, row: int) -> NDArray[np.uint8]:
        """Compiled at its first call."""
        return np.array(self._draw(self._jax.tree.map(lambda leaf: leaf[row], state)))

    def _begun(self, key: jax.Array) -> tuple[Tree, jax.Array]:
        """State and observation at the beginning of one episode."""
        state = self._as_declared(self._environment.reset(self._jax.random.split(key)[0]))
        return state, self._environment.observe(state)

    def _moved(self, key: jax.Array, decision: jax.Array, state: Tree, action: jax.Array) -> tuple[Any, ...]:
        """One decision of one environment: state, observation, scores, reward, steps, both ends."""
        library, repeat = self._jax, self._info.action_repeat
        keys = library.random.split(library.random.fold_in(library.random.split(key)[1], decision), repeat)

        def once(state: Tree, key: jax.Array) -> tuple[Tree, tuple[jax.Array, ...]]:
            state, reward, terminated, truncated = self._environment.step(key, state, action)
            return self._as_declared(state), (library.numpy.float32(reward), terminated, truncated)

        if repeat == 1:
            state, (reward, terminated, truncated) = once(state, keys[0])
            return *self._seen(state), reward, np.int32(1), terminated, truncated

        def again(carried: tuple[Any, ...], key: jax.Array) -> tuple[tuple[Any, ...], None]:
            state, total, steps, *ends = carried
            following, (reward, *ended) = once(state, key)
            after = following, total + reward, steps + 1, *ended
            is_over = ends[0] | ends[1]
            return library.tree.map(partial(library.numpy.where, is_over), carried, after), None

        nothing = state, np.float32(0), np.int32(0), np.bool_(False), np.bool_(False)
        (state, *told), _ = library.lax.scan(again, library.tree.map(library.numpy.asarray, nothing), keys)
        return *self._seen(state), *told

    def _seen(self, state: Tree) -> tuple[Tree, jax.Array, dict[str, jax.Array]]:
        return state, self._environment.observe(state), self._environment.scores(state)

    def _as_declared(self, state: Tree) -> Tree:
        """``state`` in the types of the first one; types that JAX calls weak would have it compile once more."""
        leaves = self._jax.tree.leaves(state)
        declared = zip(leaves, self._leaves, strict=True)
        return self._tree.unflatten([self._jax.lax.convert_element_type(leaf, kind) for leaf, (_, kind) in declared])


def _placed(held: Tree, fresh: Tree, rows: jax.Array, of: jax.Array) -> Tree:
    """``held`` with its rows ``rows [r]`` from the rows ``of [r]`` of ``fresh``, where they exist."""
    import jax

    return jax.tree.map(lambda old, new: old.at[rows].set(new[of], mode="drop"), held, fresh)


def _keys(seeds: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Keys ``[n, 2]`` of JAX's own generator; seeds have up to 63 bits."""
    return np.stack([seeds >> 32, seeds & 0xFFFFFFFF], 1).astype(np.uint32)


def _on_host(array: jax.Array) -> NDArray[Any]:
    """The array itself where it is on the CPU, else a copy. Through torch, because NumPy would have it unwritable."""
    from torch.utils.dlpack import from_dlpack

    if any(device.platform != "cpu" for device in array.devices()):
        return np.array(array)
    seen: NDArray[Any] = from_dlpack(array).numpy()
    return seen


def _keep_compiled(jax: Any) -> None:
    """Keep compiled programs between processes, beside those of torch, unless the user has told JAX where."""
    if not jax.config.jax_compilation_cache_dir:
        own = os.environ.get("COMPOSER_CACHE")
        cache = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "composer"
        jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))
