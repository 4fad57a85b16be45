"""TensorBoard as a tracker. Tests: tests/tracking/trackers/test_tensorboard.py."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.spec.metrics import Metric
from composer.tracking.base import Destination
from composer.tracking.page.names import charted
from composer.tracking.trackers.folder import FolderTracker

if TYPE_CHECKING:
    from composer.tracking.store import Store


class TensorboardTracker(FolderTracker, kind="tensorboard"):
    """TensorBoard: ``EXPERIMENT/AGENT/RUN/mean`` has means over seeds, pictures, texts; ``seed-N`` beside it a seed."""

    product: ClassVar[str] = "TensorBoard"
    needs: ClassVar[str] = "tensorboard"
    example: ClassVar[Mapping[str, Any]] = {"kind": "tensorboard", "experiment": "norms"}

    pictures: bool = True
    """Draw networks, learning curve and firings of interventions while the run trains, by a process of low priority."""

    @override
    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        return f"tensorboard --logdir {shlex.quote(str(destination.folder))}"

    @override
    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        from composer.tracking.trackers.tensorboard_store import TensorboardStore

        return closing(TensorboardStore(destination))

    @override
    def request(self) -> dict[str, Any]:
        return super().request() | {"pictures": self.pictures}

    @override
    def charts(self, interventions: Iterable[str], evaluation: Metric) -> tuple[Metric, ...]:
        return charted(interventions, evaluation)
