"""One game of Craftax as functions of JAX arrays. Tests: tests/environments/test_craftax.py."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

PACKAGES = {"full": "craftax.craftax", "classic": "craftax.craftax_classic"}
ACHIEVEMENTS = "evaluation/achievements"
"""The metric that counts what was unlocked."""
NEVER = 2**31 - 1
"""A limit that no episode reaches."""


class CraftaxFunctions:
    """The package's game, which tells death from the time limit."""

    def __init__(self, game: str, pixels: bool, limit: int) -> None:
        """``game`` is ``full`` or ``classic``; ``limit`` counts steps."""
        package, name = PACKAGES[game], "Craftax" if game == "full" else "CraftaxClassic"
        module = import_module(f"{package}.envs.craftax_{'pixels' if pixels else 'symbolic'}_env")
        self._game = getattr(module, f"{name}{'Pixels' if pixels else 'Symbolic'}EnvNoAutoReset")()
        self._pixels, self._limit = pixels, limit
        # The package looks at the limit for nothing but the end of an episode.
        self._settings = self._game.default_params.replace(max_timesteps=NEVER)
        self._picture: Callable[[Any], jax.Array] = import_module(f"{package}.renderer").make_craftax_pixel_renderer(
            import_module(f"{package}.constants").BLOCK_PIXEL_SIZE_IMG
        )

    def reset(self, key: jax.Array) -> Any:
        """A new world."""
        return self._game.reset_env(key, self._settings)[1]

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
        """Without the limit, the package's end is a termination."""
        _, state, reward, terminated, _ = self._game.step_env(key, state, action, self._settings)
        return state, reward, terminated, (state.timestep >= self._limit) & ~terminated

    def observe(self, state: Any) -> jax.Array:
        """Numbers as the package gives them, pictures with channels first."""
        import jax.numpy as jnp

        seen: jax.Array = self._game.get_obs(state)
        return jnp.round(seen * 255).astype(jnp.uint8).transpose(2, 0, 1) if self._pixels else seen

    def scores(self, state: Any) -> dict[str, jax.Array]:
        """Achievements unlocked."""
        return {ACHIEVEMENTS: state.achievements.sum()}

    def render(self, state: Any) -> jax.Array:
        """The world around the player and the inventory."""
        import jax.numpy as jnp

        return self._picture(state).astype(jnp.uint8)
