"""The files of a checkpoint: tensors and plain values. Tests: tests/faults/test_doctored.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from composer.spec.errors import ComposerError
from composer.spec.run_files import read_table
from composer.training.runs.manifest import check_values


class CheckpointDamaged(ComposerError, RuntimeError):
    """No checkpoint of a run can be trusted; the message names each file that failed and how."""

    exit_code = 4


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; raises CheckpointDamaged where it holds none, though its hash fits."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointDamaged(f"{path}: {error}") from None


def load_values(path: Path) -> dict[str, Any]:
    """The plain values of a state; raises CheckpointDamaged."""
    try:
        values = read_table(path)
        check_values(values)
    except (OSError, ValueError) as error:
        raise CheckpointDamaged(f"{path}: {error}") from None
    return values


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors by name to a new file; raises OSError."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # What safetensors makes of a full disk.
        raise OSError(f"{path}: {error}") from None
