"""Where a replay memory keeps its rows, and how its batches get to the learner's device.

``device``: the learner's device. ``host``: the machine's memory, from which batches are sent to a GPU. ``disk``:
unnamed files mapped into memory, for replays larger than that: the system caches the pages used last, and the files
vanish with the process, however it ends. Checkpoints use segments of their own. On a CPU all three give equal numbers.
Tests: tests/replay/test_storage.py, tests/replay/test_sending.py.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

StorageKind = Literal["device", "host", "disk"]
_Layout = tuple[tuple[torch.dtype, torch.Size], ...]
_ALIGNED = 64
"""Tensors in a block begin at multiples of so many bytes."""


class Storage:
    """Allocates rows for a learner on a device, and sends batches of them there."""

    def __init__(self, learner: str, kind: StorageKind = "device", folder: Path | None = None) -> None:
        """``learner`` is the device that batches are sent to; ``folder`` is on the disk that ``disk`` uses."""
        self.device = learner if kind == "device" else "cpu"
        """The device of rows, on which slots are drawn and windows are made."""
        self.transfer = None if self.device == learner else HostToDevice(learner)
        if kind == "disk" and folder is None:
            raise ValueError("a replay on disk needs a folder")
        self._folder = folder if kind == "disk" else None

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate a large tensor, uninitialised. Raises OSError where the disk is full: all of it is reserved now."""
        if self._folder is None:
            return torch.empty(*shape, dtype=dtype, device=self.device)
        size = math.prod(shape) * dtype.itemsize
        try:
            return torch.frombuffer(_mapped(self._folder, size), dtype=dtype).view(*shape)
        except OSError as error:
            raise OSError(f"{self._folder}: {size:.1e} bytes of replay cannot be kept here: {error.strerror}") from None

    def sent(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """``tensors`` on the learner's device; not copied where they are there already."""
        return list(tensors) if self.transfer is None else self.transfer.send(tensors)


IN_MEMORY = Storage("cpu")
"""For a learner on a CPU."""


def _mapped(folder: Path, size: int) -> mmap.mmap:
    """``size`` bytes of an unnamed file, which is deleted with the last tensor that uses it."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        # Reserve the room: writing a page to a full disk would kill the process without a message.
        os.posix_fallocate(file.fileno(), 0, size)
        mapped = mmap.mmap(file.fileno(), size)
    # Rows are drawn at random: reading ahead does not pay.
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped


class HostToDevice:
    """Copies batches from the host to a GPU without waiting, packed into blocks of pinned memory.

    Two blocks alternate, so that one batch is packed while the GPU still reads the one before. A block is written again
    only after its last copy is done.
    """

    def __init__(self, device: str) -> None:
        """Blocks are allocated with the first batch, and again when the shapes of batches change."""
        self._device = torch.device(device)
        self._blocks = [_PinnedBlock(self._device), _PinnedBlock(self._device)]

    def send(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Copy tensors, strided ones too, to new tensors on the device, in one allocation.

        Later work on the device waits for the copy; the host does not.
        """
        layout = tuple((tensor.dtype, tensor.shape) for tensor in tensors)
        self._blocks.reverse()
        block = self._blocks[0]
        for slot, tensor in zip(block.tensors(layout), tensors, strict=True):
            slot.copy_(tensor)
        there = torch.empty(block.bytes.shape, dtype=torch.uint8, device=self._device)
        there.copy_(block.bytes, non_blocking=True)
        block.record_copy()
        return _parts(there, layout)


class _PinnedBlock:
    """Pinned bytes that a GPU copies, and the event of the last copy."""

    def __init__(self, device: torch.device) -> None:
        self._to_gpu = device.type == "cuda"
        self.bytes = torch.empty(0, dtype=torch.uint8)
        self._slots: list[Tensor] = []
        self._layout: _Layout = ()
        self._copied: torch.cuda.Event | None = None

    def tensors(self, layout: _Layout) -> list[Tensor]:
        """Tensors to write a batch into; waits until the last batch has been copied."""
        if self._copied is not None:
            self._copied.synchronize()
        if self._layout != layout:
            self.bytes = torch.empty(sum(_room(*each) for each in layout), dtype=torch.uint8, pin_memory=self._to_gpu)
            self._slots, self._layout = _parts(self.bytes, layout), layout
        return self._slots

    def record_copy(self) -> None:
        """Remember the copy that was just started."""
        if self._to_gpu:
            self._copied = torch.cuda.Event()
            self._copied.record()


def _room(dtype: torch.dtype, shape: torch.Size) -> int:
    """Bytes from the beginning of a tensor to the next possible beginning."""
    return -(-shape.numel() * dtype.itemsize // _ALIGNED) * _ALIGNED


def _parts(packed: Tensor, layout: _Layout) -> list[Tensor]:
    """The tensors that ``packed`` bytes hold, one after another."""
    filled = [shape.numel() * dtype.itemsize for dtype, shape in layout]
    sizes = [size for each, full in zip(layout, filled, strict=True) for size in (full, _room(*each) - full)]
    parts = packed.split(sizes)[::2]
    return [part.view(dtype).view(shape) for part, (dtype, shape) in zip(parts, layout, strict=True)]
