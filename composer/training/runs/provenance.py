"""Provenance: everything beside its blueprint that the numbers of a run depend on.

Tests: tests/faults/test_resume.py.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from composer.spec.package_files import PACKAGE
from composer.spec.version import __version__

LIBRARIES = ("torch", "numpy", "mujoco", "dm_control")


def fingerprint(device: str, plugins: Iterable[str] = (), compiled: bool = False) -> dict[str, Any]:
    """Versions (of plug-ins too), processor capability and threads: an exact resume needs the same.

    With ``compiled`` updates also the library of matrix products, unless it is the one that torch chooses by itself.
    """
    import torch

    from composer.training.compile.onednn import better_by_onednn

    return {
        "composer": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in (*LIBRARIES, *plugins)},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "threads": torch.get_num_threads(),
        **({"products": "oneDNN"} if compiled and device == "cpu" and better_by_onednn() else {}),
    }


def differences(facts: Mapping[str, Any], plugins: Iterable[str], device: str) -> list[str]:
    """What has changed since the run of ``facts`` began, of all that its numbers depend on."""
    then: Mapping[str, Any] = facts["fingerprint"]
    now = fingerprint(device, plugins, bool(facts["compiled"]))
    # Names of both: a run with products by oneDNN does not continue exactly where MKL makes them.
    return [
        f"{name}: {then.get(name)} then, {now.get(name)} now"
        for name in {**now, **then}
        if then.get(name) != now.get(name)
    ]


def _version(library: str) -> str | None:
    """None where it is not installed: a run that does not need a library does not depend on it."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def provenance_hash(blueprint_digest: str, facts: dict[str, Any]) -> str:
    """SHA-256 over the resolved blueprint's digest and ``facts``: fingerprint, forked checkpoint, replay placement."""
    text = json.dumps({"blueprint": blueprint_digest, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def git_commit() -> str | None:
    """Commit of the source tree of composer, with ``-dirty`` if it has changes; None outside of a source tree."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return (
            subprocess.run(command, capture_output=True, check=True, timeout=10)
            .stdout.decode("utf-8", "replace")
            .strip()
        )
    except (OSError, subprocess.SubprocessError):
        return None
