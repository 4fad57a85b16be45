"""Files of other libraries, read without unpickling an object: tensors by name, and what JSON says beside them.

stable-baselines3 saves a zip of ``data`` (JSON), ``policy.pth`` and more; CleanRL saves state dicts with torch.save.
Tests: tests/studies/doctor/test_agent_files.py.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from composer.spec.wording import listing
from composer.studies import Refused

LARGEST: Final = 2**32
"""Bytes of a member of a zip that is read."""
WEIGHTS, DATA = "policy.pth", "data"
"""Members of a zip of stable-baselines3: the state dict, and hyperparameters and spaces as JSON."""


@dataclass(frozen=True)
class Saved:
    """A file: its tensors by name, and its facts, which are empty where the file has none."""

    path: Path
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The JSON of stable-baselines3."""

    @property
    def is_sb3(self) -> bool:
        """Whether stable-baselines3 wrote it."""
        return bool(self.facts)

    def found(self) -> str:
        """The names and shapes of the first tensors, for messages."""
        names = [f"{name} {[*value.shape]}" for name, value in self.tensors.items()]
        return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def read(path: Path) -> Saved:
    """Read an agent's file. Raises Refused where it is none, is damaged, or holds objects other than tensors."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if DATA in archive.namelist():
                    return _sb3(path, archive)
        tensors = dict(_flat(path, _weights(path, path.read_bytes())))
    except (OSError, zipfile.BadZipFile) as error:
        raise Refused(f"{path} cannot be read: {error}") from error
    return _finite(Saved(path, tensors))


def _sb3(path: Path, archive: zipfile.ZipFile) -> Saved:
    if WEIGHTS not in archive.namelist():
        raise Refused(f"{path} is no agent of stable-baselines3: it holds {listing(archive.namelist())}, no {WEIGHTS}")
    data, weights = (_member(path, archive, name) for name in (DATA, WEIGHTS))
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path}: its member {DATA!r} is no JSON: {error}") from error
    if not isinstance(facts, dict) or not facts:
        raise Refused(f"{path}: its member {DATA!r} names no hyperparameter")
    return _finite(Saved(path, dict(_flat(path, _weights(path, weights))), facts))


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > LARGEST:
        raise Refused(f"{path}: its member {name!r} has {size:,} bytes; {LARGEST:,} are read at most")
    return archive.read(name)


def _weights(path: Path, data: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
        raise Refused(
            f"{path} holds Python objects beside tensors ({reason or 'a pickle'}): loading them would execute code, so"
            " they are not loaded; save the state dict alone, as torch.save(network.state_dict(), FILE)"
        ) from None
    except Exception as error:
        raise Refused(f"{path} is no file of torch.save: {type(error).__name__}: {error}") from error


def _flat(path: Path, loaded: Any) -> Iterator[tuple[str, Tensor]]:
    """Tensors by name; those of several networks with the name of the network before their own.

    CleanRL saves a state dict, a tuple of those of actor and critics, or ``{"model_weights": state dict, ...}``.
    """
    if isinstance(loaded, (tuple, list)):
        loaded = dict(zip(("actor", "qf1", "qf2"), loaded, strict=False)) if len(loaded) in (2, 3) else {}
    if isinstance(loaded, dict) and isinstance(loaded.get("model_weights"), dict):
        loaded = loaded["model_weights"]
    if not isinstance(loaded, dict) or not loaded:
        raise Refused(f"{path} holds {type(loaded).__name__}: expected a state dict, or a tuple of 2 or 3 of them")
    for name, value in loaded.items():
        if isinstance(value, Tensor):
            yield str(name), value
        elif isinstance(value, dict) and all(isinstance(each, Tensor) for each in value.values()):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            raise Refused(f"{path}: {name!r} is {type(value).__name__}: expected a tensor or a state dict")


def _finite(saved: Saved) -> Saved:
    for name, value in saved.tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise Refused(f"{saved.path}: {name} holds numbers that are not finite: the agent has diverged")
    return saved
