"""What a compiled update follows from, so that it is loaded where all of it is equal and nowhere else.

``blueprint.forecast.program_key`` names the folder, for which it need not be complete: inductor looks at the graph
itself. A program that is loaded without looking needs more: the settings with all numbers, the source of composer,
torch and its settings, threads. Tests: tests/training/test_kept.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.blueprint.serialize import resolved
from composer.spec.family import Spec
from composer.spec.package_files import PACKAGE
from composer.training.compile.cache import programs_folder
from composer.training.compile.kept import KeptPrograms
from composer.training.compile.onednn import better_by_onednn

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.training.learner import Learner

_OUTSIDE = ("name", "description", "tracking", "evaluation", "checkpoint", "diagnostics", "seeds", "compute")
"""Keys of a blueprint that its update does not follow from, or not from all of them."""


def keep_programs(learner: Learner, blueprint: Blueprint, say: Callable[[str], None]) -> None:
    """Let the updates of a fresh learner of ``blueprint`` be loaded and kept, where they may be."""
    folder = programs_folder()
    if folder is not None and _may_be_kept(blueprint, learner.device):
        learner.kept = KeptPrograms(folder, _digest(blueprint), partial(read_by_updates, learner), say)
        learner.recapture(learner.choice)


def read_by_updates(learner: Learner) -> dict[str, Tensor]:
    """Every tensor that updates read or change, beside their inputs, by name."""
    numbers = {f"number/{place}": value for place, value in enumerate(learner.hyperparameters.tensors)}
    reports = {f"report/{name}": value for name, value in learner.reports.items()}
    return constants(learner.program) | learner.tensors() | numbers | reports | {"interactions": learner.interactions}


def constants(program: object) -> dict[str, Tensor]:
    """The tensors that composer's objects in a program hold, such as the bins of a head, by path of attributes."""
    found, seen, waiting = dict[str, Tensor](), set[int](), [("constant", program)]
    while waiting:
        path, thing = waiting.pop()
        if isinstance(thing, Tensor):
            found[path] = thing
        elif id(thing) not in seen:
            seen.add(id(thing))
            held = (
                vars(thing) if type(thing).__module__.startswith("composer.") and hasattr(thing, "__dict__") else thing
            )
            inner = (
                held if isinstance(held, Mapping) else dict(enumerate(held if isinstance(held, list | tuple) else ()))
            )
            waiting += [(f"{path}/{key}", each) for key, each in inner.items()]
    return found


def is_kept(blueprint: Blueprint, device: str) -> bool:
    """Whether the update of ``blueprint`` was kept by an earlier start in the cache that is used."""
    folder = programs_folder()
    if folder is None or not _may_be_kept(blueprint, device):
        return False
    return (folder / f"compute_update-{_digest(blueprint)}.json").exists()


def _may_be_kept(blueprint: Blueprint, device: str) -> bool:
    """Not where a plug-in, or the program that calls composer, brings a kind: nothing tells when its code changes.

    Not on GPUs, where it was never tried; not in bfloat16, whose programs torch 2.13 cannot write to a file.
    """
    is_plain = device == "cpu" and blueprint.compute.precision != "bf16"
    return is_plain and all(type(each).__module__.startswith("composer.") for each in _specs(blueprint))


def _digest(blueprint: Blueprint) -> str:
    settings = {key: value for key, value in resolved(blueprint).items() if key not in _OUTSIDE}
    settings["compute"] = [blueprint.compute.precision, blueprint.compute.updates_per_call]
    machine = [torch.__version__, torch.version.git_version, torch.backends.cpu.get_cpu_capability(), processor()]
    numeric = [torch.get_num_threads(), torch.get_float32_matmul_precision(), better_by_onednn()]
    variables = sorted(item for item in os.environ.items() if item[0].startswith("TORCH") and item[0] != _FOLDER)
    parts = [settings, len(blueprint.seeds), source_digest(), machine, numeric, variables]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_CPU_FACTS = Path("/proc/cpuinfo")
_DECISIVE = {
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "flags",
    "CPU implementer",
    "CPU part",
    "CPU variant",
    "Features",
}
"""What ``/proc/cpuinfo`` tells of x86 and of ARM."""


@cache
def processor() -> str:
    """The model and the abilities of this processor, for which code is generated."""
    try:
        first, _, _ = _CPU_FACTS.read_text(encoding="ascii", errors="replace").partition("\n\n")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(line for line in first.splitlines() if line.partition(":")[0].strip() in _DECISIVE)


@cache
def source_digest() -> str:
    """A hash of every source file of composer."""
    found = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        found.update(f"{file.relative_to(PACKAGE)}\n".encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def _specs(value: object) -> Iterator[Spec]:
    if isinstance(value, Spec):
        yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _specs(inner)
