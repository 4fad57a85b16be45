"""Processor, memory and GPU use while a run trains, under MLflow's names for system metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psutil

from composer.tracking.points import PARENT, Point

EVERY_SECONDS: Final = 15.0


class SystemMetrics:
    """Samples the machine and the training process. The step of a sample is the seconds since the run was created."""

    def __init__(self, trainer: int, started_at: float, clock: Callable[[], float] = time.time) -> None:
        self._monitors = _monitors()
        self._trainer = psutil.Process(trainer)
        self._trainer.cpu_percent()  # the first call only starts the interval that the next one measures
        self._started_at, self._clock = started_at, clock
        self._due = clock() + EVERY_SECONDS

    def sample(self) -> list[tuple[Point, int]]:
        """Points of the parent run with their times in milliseconds; none until the next sample is due."""
        now = self._clock()
        if now < self._due:
            return []
        self._due = now + EVERY_SECONDS
        try:
            values = {
                "trainer_cpu_percentage": self._trainer.cpu_percent(),
                "trainer_memory_megabytes": self._trainer.memory_info().rss / 1e6,
            }
        except psutil.Error:
            return []  # it has just ended
        for monitor in self._monitors:
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        step = int(now - self._started_at)
        points = [Point(PARENT, f"system/{name}", step, float(value)) for name, value in values.items()]
        return [(point, int(now * 1000)) for point in points]


def _monitors() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    always: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor]
    gpu: Any = GPUMonitor
    monitors = [kind() for kind in always]
    with suppress(ImportError, RuntimeError):  # no GPU, or no library to query it
        monitors.append(gpu())
    return monitors
