"""Provenance: everything beside its blueprint that the numbers of a run depend on.

Tests: tests/faults/test_resume.py.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from composer.spec.version import __version__
from composer.training.runs.libraries import version, versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.environments.base import Environment

_MACHINE: Final = ("cpu_capability", "device", "cudnn", "threads", "products", "triton", "data")


def fingerprint(
    device: str, environment: Environment, plugins: Iterable[str] = (), compiled: bool = False
) -> dict[str, Any]:
    """Versions of everything that computes a number of the run, processor capability and threads.

    An exact resume needs the same. The libraries are torch, NumPy, those of the ``environment`` and ``plugins``. With
    ``compiled`` updates on a CPU also how matrix products are made.
    """
    import torch

    from composer.training.compile.onednn import products_setting

    return {
        **libraries(environment, plugins),
        **environment.data_digests(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **(_gpu(compiled) if device.startswith("cuda") else {"device": "cpu"}),
        "threads": torch.get_num_threads(),
        **({"products": products_setting()} if compiled and device == "cpu" else {}),
    }


def libraries(
    environment: Environment, plugins: Iterable[str] = (), *, is_to_run: bool = True
) -> dict[str, str | None]:
    """The part of a fingerprint that is the same on every machine with the same software: versions.

    Only with ``is_to_run`` may code of others be executed to find the libraries of the ``environment``.
    """
    used = environment.libraries() if is_to_run else environment.known_libraries()
    return {
        "composer": __version__,
        "python": platform.python_version(),
        **versions(used, ("torch", "numpy", *plugins)),
    }


def library_versions(fingerprint: Mapping[str, Any]) -> dict[str, str]:
    """The libraries in a fingerprint, without what it says of the machine, and without hashes of sources."""
    return {
        name: version.partition("+sha256:")[0]
        for name, version in fingerprint.items()
        if name not in _MACHINE and isinstance(version, str)
    }


def differences(facts: Mapping[str, Any], environment: Environment, plugins: Iterable[str], device: str) -> list[str]:
    """What has changed since the run of ``facts`` began, of all that its numbers depend on."""
    then: Mapping[str, Any] = facts["fingerprint"]
    now = fingerprint(device, environment, plugins, bool(facts["compiled"]))
    # Names of both: what only one of them has is a difference too.
    return [
        f"{name}: {then.get(name)} then, {now.get(name)} now"
        for name in {**now, **then}
        if then.get(name) != now.get(name)
    ]


def _gpu(compiled: bool) -> dict[str, Any]:
    import torch

    generator = {"triton": version("triton")} if compiled else {}
    return {"device": torch.cuda.get_device_name(), "cudnn": torch.backends.cudnn.version(), **generator}


def provenance_hash(blueprint_digest: str, facts: dict[str, Any]) -> str:
    """SHA-256 over the resolved blueprint's digest and ``facts``: fingerprint, forked checkpoint, replay placement."""
    text = json.dumps({"blueprint": blueprint_digest, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
