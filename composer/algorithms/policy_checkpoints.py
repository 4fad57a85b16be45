"""Checkpoints of a policy that an algorithm keeps: which policy is evaluated, and when the next one is trained.

The counts are in ``composer.training.collect.assessment``. Tests: tests/training/test_assessment.py.
"""

from __future__ import annotations

import math
from typing import Final

from pydantic import Field

from composer.spec.family import Spec
from composer.spec.metrics import Metric

CHECKPOINT_RETURN: Final = "training/checkpoint_return"
CHECKPOINTS: Final = "training/policy_checkpoints"


class PolicyCheckpoints(Spec):
    """Assess each policy over whole training episodes, then make all updates that are due at once.

    A policy whose lowest return falls below that of the checkpoint is trained at once; one that has played ``episodes``
    is the new checkpoint, which evaluations use. Returns are those of training episodes, with exploration. Source:
    TD7, Fujimoto et al., arXiv:2306.02451, section 4.2 and algorithm 2, and its released code.
    """

    episodes: int = Field(default=20, ge=1, le=10_000)
    """Episodes of an assessment from update ``from_update`` on; before it is one episode."""
    from_update: int = Field(default=750_000, ge=0, le=10**12)
    """Updates of a seed from which assessments are long; 750,000 of TD7's 5 million."""
    reset_weight: float = Field(default=0.9, ge=0, le=1)
    """Factor of the checkpoint's lowest return at ``from_update``, for it comes from short assessments."""

    def metrics(self) -> tuple[Metric, ...]:
        """What a run records of them."""
        return (
            Metric(
                CHECKPOINT_RETURN,
                "lowest return of the policy that evaluations use, in its assessment",
                "return",
                -math.inf,
                condition="once there is a checkpoint",
            ),
            Metric(CHECKPOINTS, "policies that became the checkpoint since the last row", low=0),
        )
