"""What a piece is given: device, scale, time and folders. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from composer.training.compile.capture import Choice

Scale = Literal["full", "toy"]
T = TypeVar("T")

SHARE = 0.75
"""Of a piece's minutes, how many it plans to work: starting, compiling and saving want the rest."""


@dataclass(frozen=True)
class Setting:
    """One call of the suite. Travels to the process of a piece."""

    device: str
    scale: Scale
    minutes: float
    """That a piece may take."""
    out: Path
    """Where results lie, a JSON file a piece."""
    runs: Path
    """Where training runs lie, from which learning goes on."""
    compiles: bool
    """Whether what is captured is compiled; on CUDA it is a graph then."""
    published: Path | None = None
    """A CSV file of published results."""
    command: str = ""
    """The command that asked, as it was typed."""

    @property
    def on_gpu(self) -> bool:
        """Whether tensors live on a CUDA device."""
        return self.device.startswith("cuda")

    def sized(self, full: T, toy: T) -> T:
        """The one of two that belongs to the scale."""
        return full if self.scale == "full" else toy

    def captured(self) -> Choice:
        """How an update is computed where it is to be as fast as it can: eager where nothing is compiled."""
        return Choice(self.compiles, "the suite compares them")

    def seconds(self) -> float:
        """That a piece plans to work."""
        return 60 * SHARE * self.minutes

    def settle(self) -> None:
        """Wait until the device has computed all that it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()


EAGER = Choice(False, "the suite compares them")


def machine(device: str) -> dict[str, Any]:
    """What figures hold for: versions, processor and, where there is one, the GPU."""
    from benchmarks.speed.machine import describe_machine

    facts = describe_machine()
    if device.startswith("cuda"):
        found = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": found.name,
            "gpu_memory_gib": round(found.total_memory / 2**30, 1),
            "gpu_multiprocessors": found.multi_processor_count,
            "cuda": torch.version.cuda,
        }
    return facts
