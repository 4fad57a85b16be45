"""Weights & Biases, offline, as a tracker. Tests: tests/tracking/trackers/test_wandb.py."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.spec.metrics import Metric
from composer.tracking.base import EXPERIMENT, Destination
from composer.tracking.page.names import charted
from composer.tracking.trackers.folder import FolderTracker

if TYPE_CHECKING:
    from composer.tracking.store import Store


class WandbTracker(FolderTracker, kind="wandb"):
    """Weights & Biases, offline: a run for each seed and one for their means, written when the run ends.

    ``wandb sync`` sends them; composer sends nothing, and needs no account.
    """

    product: ClassVar[str] = "W&B, offline"
    needs: ClassVar[str] = "wandb"
    example: ClassVar[Mapping[str, Any]] = {"kind": "wandb", "experiment": "norms"}

    experiment: str | None = Field(default=None, pattern=EXPERIMENT)
    """Name of the project in W&B. Absent: the study's name for a run of a study, else that of the folder in which the
    runs directory is."""

    @override
    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        return f"wandb sync {shlex.quote(str(destination.folder))}/offline-run-*"

    @override
    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        from composer.tracking.trackers.wandb_store import WandbStore

        return closing(WandbStore(destination))

    @override
    def charts(self, interventions: Iterable[str], evaluation: Metric) -> tuple[Metric, ...]:
        return charted(interventions, evaluation)
