"""What is set once per process, and how it computes: threads, precision, the device, the cache of compiled code.

Tests: tests/training/test_capture.py, tests/training/test_compile_measured.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import torch

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.program_key import program_key
from composer.spec.processors import THREADS, cores
from composer.spec.stages import stage
from composer.training.assemble.kept_programs import is_kept
from composer.training.compile import capture as compiling
from composer.training.compile.cache import use_cache
from composer.training.compile_measured import calibrate
from composer.training.learner import Learner
from composer.training.waiting_threads import watch_contention

if TYPE_CHECKING:
    from composer.blueprint import Blueprint


def set_up_process(blueprint: Blueprint, device: str | None = None) -> str:
    """Set threads, precision and the cache of this process. Returns the device that a run computes on.

    Raises Unavailable for a GPU that is not there.
    """
    compute = blueprint.compute
    set_threads(compute.threads)
    watch_contention()
    torch.set_float32_matmul_precision("high" if compute.precision == "tf32" else "highest")
    # Convolutions on GPUs have a switch of their own, which torch leaves on.
    torch.backends.cudnn.allow_tf32 = compute.precision == "tf32"
    found = device_for(device or compute.device)
    use_cache(program_key(blueprint, found))
    return found


def set_threads(declared: Literal["auto"] | int) -> None:
    """Set the threads of torch as ``compute.threads`` declares them.

    They never depend on the load of the machine: their number decides in which order sums are computed.
    """
    if declared == "auto":
        said = os.environ.get(THREADS, "")
        # What is no plain number, such as "4,2" for nested regions, OpenMP has understood by itself.
        declared = cores() if not said else int(said) if said.isdecimal() else 0
    if declared not in (0, torch.get_num_threads()):
        torch.set_num_threads(declared)


def choose_compilation(blueprint: Blueprint, device: str, is_shared: bool = False) -> compiling.Choice:
    """Whether a whole run of ``blueprint`` compiles its updates: not in the background where the program is shared."""
    if blueprint.compute.compile == "measured":
        stage("compiling the update, and measuring whether that pays")
        return calibrate(lambda choice: Learner(blueprint.agent, device, choice), blueprint.environment.info, device)
    updates = clock_of(blueprint).updates_by(blueprint.training.env_steps)
    reproducible = blueprint.compute.reproducible or is_shared
    choice = compiling.choose(blueprint.compute.compile, device, updates, reproducible)
    if choice.in_background and is_kept(blueprint, device):
        return compiling.Choice(True, "an earlier start has kept the compiled update", falls_back=True)
    return choice


def device_for(name: str) -> str:
    """``auto`` to ``cuda`` where there is one, else ``cpu``; raises Unavailable for a GPU that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise compiling.Unavailable("compute.device is 'cuda', but torch sees no GPU here")
    return name
