"""Which checkpoint of a run a command reads: the newest, the best agent, or that of an environment step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from composer.training.runs.best import best_evaluation
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, Snapshot

BEST: Final = "best"
Chosen = int | Literal["best"] | None
"""An environment step, the best agent, or the newest good checkpoint."""


def load_chosen(checkpoints: Checkpoints, chosen: Chosen, metric: str, seeds: Sequence[int]) -> Snapshot:
    """The chosen checkpoint. One of an environment step may be a best agent, without the state of training.

    Raises CheckpointDamaged where it is not kept, and what ``Checkpoints.load`` raises.
    """
    if chosen == BEST:
        best = best_evaluation(checkpoints.run, metric, seeds)
        if best is None:
            raise CheckpointDamaged(f"{checkpoints.run} has no evaluation yet, and so no best one")
        if best.env_step in checkpoints.best.steps():  # First: an intervention may have answered the evaluation.
            return checkpoints.best.load(best.env_step)
        if best.env_step not in checkpoints.steps():
            raise CheckpointDamaged(
                f"the best evaluation of {checkpoints.run} was at environment step {best.env_step:,}, whose agent is"
                f" not kept (of other checkpoints {checkpoints.listed()})"
            )
        chosen = best.env_step
    if chosen is not None and chosen not in checkpoints.steps() and chosen in checkpoints.best.steps():
        return checkpoints.best.load(chosen)
    return checkpoints.load(chosen)
