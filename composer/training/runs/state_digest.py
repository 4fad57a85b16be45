"""The hash of a whole state, by which two runs are compared. Tests: tests/faults/test_checkpoint.py."""

from __future__ import annotations

import hashlib
import json

from torch import Tensor

from composer.training.runs.checkpoint import Checkpoints, Snapshot


def digest(checkpoints: Checkpoints, snapshot: Snapshot) -> str:
    """SHA-256 over the whole state: each tensor by name, type, shape and bytes, plain values, replay rows.

    The length of the journal is not part of it: a fork, with a journal of its own, has the digest of its origin.
    """
    total = hashlib.sha256()
    for name in sorted(snapshot.tensors):
        tensor = snapshot.tensors[name]
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        total.update(_bytes(tensor))
    values = {name: value for name, value in snapshot.values.items() if name != "journal_offset"}
    total.update(json.dumps(values, sort_keys=True).encode())
    first = snapshot.values.get("replay_start", 0)
    for start, rows in checkpoints.rows(snapshot):
        total.update(_bytes(rows[max(0, first - start) :]))
    return total.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
