"""Where the rows of a replay memory lie, and how a batch of them gets to the device that learns.

``device``: where the learner computes. ``host``: in the machine's memory, from where batches are sent to a GPU.
``disk``: in files of no name, mapped into memory, for what is larger than that: the system keeps in memory what was
touched last, and the files are gone when the process is, however it ends. Checkpoints do not read them: segments do.
On a CPU all three give equal numbers. Tests: tests/replay/test_storage.py, tests/replay/test_sending.py.
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
"""Bytes: where a tensor may begin in a block."""


class Storage:
    """Where rows lie for a learner on a device."""

    def __init__(self, learner: str, kind: StorageKind = "device", folder: Path | None = None) -> None:
        """``learner`` is the device that batches are sent to; files of ``disk`` take their room from ``folder``'s."""
        self.device = learner if kind == "device" else "cpu"
        """Where rows lie, slots are drawn and windows are made."""
        self.transfer = None if self.device == learner else HostToDevice(learner)
        if kind == "disk" and folder is None:
            raise ValueError("a replay on disk needs a folder")
        self._folder = folder if kind == "disk" else None

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A large tensor of anything. OSError where the disk has no room for it: all of it is reserved now."""
        if self._folder is None:
            return torch.empty(*shape, dtype=dtype, device=self.device)
        size = math.prod(shape) * dtype.itemsize
        try:
            return torch.frombuffer(_mapped(self._folder, size), dtype=dtype).view(*shape)
        except OSError as error:
            raise OSError(f"{self._folder}: {size:.1e} bytes of replay cannot be kept here: {error.strerror}") from None

    def sent(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same where the learner computes; the very tensors where that is here."""
        return list(tensors) if self.transfer is None else self.transfer.send(tensors)


IN_MEMORY = Storage("cpu")
"""Of a learner on a CPU."""


def _mapped(folder: Path, size: int) -> mmap.mmap:
    """So many bytes of a file without a name; it goes with the last tensor over it."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        # Reserved, for a page that finds a full disk when it is written would end the process without a word.
        os.posix_fallocate(file.fileno(), 0, size)
        mapped = mmap.mmap(file.fileno(), size)
    # Rows are drawn from anywhere: what lies beside them on the disk is not worth reading.
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped


class HostToDevice:
    """Takes batches from the host to a GPU: packed into a block of pinned memory and copied without waiting.

    Two blocks take turns, so that a batch can be packed while the one before is still waited for by the GPU; a block
    is written anew only when its last copy is done.
    """

    def __init__(self, device: str) -> None:
        """Blocks are made with the first batch, and others when a batch of other shapes comes."""
        self._device = torch.device(device)
        self._blocks = [_Block(self._device), _Block(self._device)]

    def send(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors of the host, strided ones too, as fresh tensors of the device; what comes next there waits for them.

        They share one allocation.
        """
        layout = tuple((tensor.dtype, tensor.shape) for tensor in tensors)
        self._blocks.reverse()
        block = self._blocks[0]
        for slot, tensor in zip(block.opened(layout), tensors, strict=True):
            slot.copy_(tensor)
        there = torch.empty(block.bytes.shape, dtype=torch.uint8, device=self._device)
        there.copy_(block.bytes, non_blocking=True)
        block.leave()
        return _parts(there, layout)


class _Block:
    """Bytes that a GPU reads from, and whether it still does."""

    def __init__(self, device: torch.device) -> None:
        self._to_gpu = device.type == "cuda"
        self.bytes = torch.empty(0, dtype=torch.uint8)
        self._slots: list[Tensor] = []
        self._layout: _Layout = ()
        self._copied: torch.cuda.Event | None = None

    def opened(self, layout: _Layout) -> list[Tensor]:
        """Tensors to be written, once what was in them has been copied."""
        if self._copied is not None:
            self._copied.synchronize()
        if self._layout != layout:
            self.bytes = torch.empty(sum(_room(*each) for each in layout), dtype=torch.uint8, pin_memory=self._to_gpu)
            self._slots, self._layout = _parts(self.bytes, layout), layout
        return self._slots

    def leave(self) -> None:
        """The copy has been asked for."""
        if self._to_gpu:
            self._copied = torch.cuda.Event()
            self._copied.record()


def _room(dtype: torch.dtype, shape: torch.Size) -> int:
    """Bytes that a tensor takes, up to where the next one may begin."""
    return -(-shape.numel() * dtype.itemsize // _ALIGNED) * _ALIGNED


def _parts(packed: Tensor, layout: _Layout) -> list[Tensor]:
    """Bytes as the tensors that lie in them, one after another."""
    filled = [shape.numel() * dtype.itemsize for dtype, shape in layout]
    sizes = [size for each, full in zip(layout, filled, strict=True) for size in (full, _room(*each) - full)]
    parts = packed.split(sizes)[::2]
    return [part.view(dtype).view(shape) for part, (dtype, shape) in zip(parts, layout, strict=True)]
