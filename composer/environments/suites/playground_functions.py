"""One task of MuJoCo Playground as functions of JAX arrays. Tests: tests/environments/test_playground.py."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from composer.environments.interface import RenderingUnavailable

if TYPE_CHECKING:
    import jax


class PlaygroundFunctions:
    """The package's task, with a time limit of its own: the package's tasks have none, its wrappers do."""

    def __init__(self, task: Any, limit: int) -> None:
        """``task`` has Playground's ``reset`` and ``step``; ``limit`` counts control steps."""
        self._task, self._limit = task, limit

    @classmethod
    def load(cls, name: str, limit: int) -> Self:
        """By its name; physics in JAX, which runs on a CPU too, where the package's own choice is for GPUs alone."""
        registry = import_module("mujoco_playground").registry
        return cls(registry.load(name, config_overrides={"impl": "jax"}), limit)

    def sizes(self) -> tuple[int, int]:
        """Lengths of an observation and of an action, found by tracing."""
        import jax

        (size,) = jax.eval_shape(self._task.reset, jax.random.PRNGKey(0)).obs.shape
        return size, self._task.action_size

    def reset(self, key: jax.Array) -> Any:
        """A first state, and the control steps since then."""
        import jax.numpy as jnp

        return {"task": self._task.reset(key), "steps": jnp.int32(0)}

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
        """Without ``key``: the task draws all it needs when it is reset, and keeps a key where it draws more."""
        import jax.numpy as jnp

        task, steps = self._task.step(state["task"], action), state["steps"] + 1
        diverged = task.done > 0
        return {"task": task, "steps": steps}, jnp.nan_to_num(task.reward), diverged, (steps >= self._limit) & ~diverged

    def observe(self, state: Any) -> jax.Array:
        """The task's vector; 0 for what is no number, after physics has diverged."""
        import jax.numpy as jnp

        return jnp.nan_to_num(state["task"].obs.astype(jnp.float32), posinf=0.0, neginf=0.0)

    def scores(self, state: Any) -> dict[str, jax.Array]:
        """None beside the return."""
        return {}

    def render(self, state: Any) -> jax.Array:
        """MuJoCo draws outside of JAX."""
        raise RenderingUnavailable("tasks of Playground have no pictures here")
