"""When a run has diverged: a number that is not finite, or beyond all bounds; which one, of which seed, on which batch.

Parameters are read once per logging interval, metrics where they are read anyway; nothing is changed.
Legend: S seeds. Tests: tests/training/test_divergence.py.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from composer.replay.transitions import Minibatch
from composer.spec.errors import ComposerError
from composer.spec.run_files import open_to_write

FILE = "diverged.safetensors"
"""The file in the run directory that holds the last batch of a run that has diverged."""


class Diverged(ComposerError, RuntimeError):
    """A loss, a value or a parameter is not finite, or beyond its bound: the message says which, whose and when.

    No checkpoint has been overwritten.
    """

    exit_code = 5


class Trained(Protocol):
    """What is read of a learner."""

    @property
    def seeds(self) -> Sequence[int]:
        """S seeds."""

    @property
    def networks(self) -> Mapping[str, object]:
        """Networks by role."""

    @property
    def scalars(self) -> Mapping[str, object]:
        """Learned scalars by role."""

    def parameters(self, role: str) -> Mapping[str, Tensor]:
        """The parameters of a role by path, ``[S, ...]``."""


def ensure_bounded_metrics(rows: Sequence[Mapping[str, float]], seeds: Sequence[int], bound: float, step: int) -> None:
    """Raise Diverged for the first metric that is not finite or larger than ``bound``, if that is not 0."""
    for seed, row in zip(seeds, rows, strict=True):
        for name, value in row.items():
            if not _is_within(value, bound):
                raise Diverged(_text(f"{name} of seed {seed}", value, bound, step, "metrics"))


@torch.no_grad()
def ensure_bounded_parameters(agent: Trained, bound: float, step: int) -> None:
    """Raise Diverged for the first parameter with an entry that is not finite or larger than ``bound``, if not 0.

    One transfer to the host.
    """
    roles, seeds = (*agent.networks, *agent.scalars), agent.seeds
    parameters = {f"{role}.{path}": value for role in roles for path, value in agent.parameters(role).items()}
    largest = [torch.linalg.vector_norm(value.flatten(1), math.inf, dim=1) for value in parameters.values()]
    for name, row in zip(parameters, torch.stack(largest).tolist() if largest else [], strict=True):
        for seed, value in zip(seeds, row, strict=True):
            if not _is_within(value, bound):
                raise Diverged(_text(f"the largest entry of {name} of seed {seed}", value, bound, step, "parameters"))


@torch.no_grad()
def ensure_finite(state: Mapping[str, Tensor], seeds: Sequence[int]) -> None:
    """Raise Diverged, naming the first tensor of the state that holds a number that is not finite."""
    named = {name: value for name, value in state.items() if value.is_floating_point()}
    fine = torch.stack([torch.isfinite(value).all() for value in named.values()]).tolist()
    for name, good in zip(named, fine, strict=True):
        if not good:
            value = named[name]
            first = torch.isfinite(value).logical_not().nonzero()[0].tolist()
            whose = f" of seed {seeds[first[0]]}" if len(value) == len(seeds) else ""
            raise Diverged(f"{name}{whose} holds a number that is not finite: {value[tuple(first)].item()} at {first}")


def keep_batch(run: Path, batch: Minibatch) -> tuple[str, str]:
    """Write the last batch into the run directory; returns its SHA-256, and a sentence. Raises OSError."""
    tensors = batch.transitions._asdict() | {name.replace("/", "."): value for name, value in batch.extra.items()}
    kept = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    data = save(kept)
    with os.fdopen(open_to_write(run / FILE, os.O_TRUNC), "wb") as file:
        file.write(data)
    reward, observation = (kept[name].float().abs().max().item() for name in ("reward", "observation"))
    digest = hashlib.sha256(data).hexdigest()
    largest = f"largest |reward| {reward:.4g}, |observation| {observation:.4g}"
    return digest, f"the last batch ({largest}) is in {run / FILE}, SHA-256 {digest[:16]}"


def _is_within(value: float, bound: float) -> bool:
    return math.isfinite(value) and (not bound or abs(value) <= bound)


def _text(subject: str, value: float, bound: float, step: int, key: str) -> str:
    beyond = f", beyond training.divergence.{key} = {bound:g}" if math.isfinite(value) else ""
    return f"{subject} is {value:.6g} at environment step {step:,}{beyond}"
