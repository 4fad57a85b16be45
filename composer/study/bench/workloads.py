"""What is measured: two shipped blueprints on walker-walk's shapes, over synthetic replay contents. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.blueprint import Blueprint

REPLAY_ROWS: Final = 100_000
EPISODE: Final = 500
"""Transitions of a synthetic episode: a full one of walker-walk under action repeat 2."""


class Transitions(NamedTuple):
    """Synthetic replay contents, the same for every party: float32 arrays whose first axis is time."""

    observation: NDArray[np.float32]
    action: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.float32]
    ended: NDArray[np.float32]
    following: NDArray[np.float32]


@dataclass(frozen=True)
class Workload:
    """One learning problem. Every party builds it from the same resolved blueprint."""

    name: str
    title: str
    blueprint: str
    """Name of a shipped blueprint."""
    hidden: tuple[int, ...] | None
    """Hidden widths where the network is a plain MLP, which peers then build by their own means; None for any other."""
    overrides: tuple[str, ...] = ()
    rows: int = REPLAY_ROWS

    def load(self, seeds: int = 1, compiled: bool = False) -> Blueprint:
        """The resolved blueprint for ``seeds`` seeds, the update compiled or eager."""
        from composer.blueprint import load
        from composer.blueprint.chain import shipped

        numbers = ", ".join(map(str, range(seeds)))
        mode = "always" if compiled else "never"
        own = (f"seeds=[{numbers}]", f"compute.compile={mode}", f"replay.capacity={self.rows}")
        return load(shipped()[self.blueprint], (*self.overrides, *own)).blueprint

    def transitions(self, observation: int, action: int) -> Transitions:
        """``rows`` transitions of unit-normal observations; episodes are cut by time, none terminates."""
        rng = np.random.default_rng(0)
        ended = np.zeros(self.rows, np.float32)
        ended[EPISODE - 1 :: EPISODE] = 1
        return Transitions(
            rng.standard_normal((self.rows, observation), np.float32),
            rng.uniform(-1, 1, (self.rows, action)).astype(np.float32),
            rng.random(self.rows, np.float32),
            np.zeros(self.rows, np.float32),
            ended,
            rng.standard_normal((self.rows, observation), np.float32),
        )


WORKLOADS: Final = (
    Workload("mlp", "SAC, MLP 2x256, two critics", "dmc/sac_mlp", hidden=(256, 256)),
    Workload("simba", "SAC, SimBa: actor 128/1, one critic 512/2, RSNorm", "dmc/sac_simba", hidden=None),
)
