"""Modules that tests of several rooms share are beside this file, and are imported by name."""

import gc
import os
import sys
from functools import cache
from pathlib import Path

import typer.main
import typer.testing
from hypothesis import HealthCheck, settings

# A busy machine is no fault of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
sys.path.insert(0, str(Path(__file__).parent))
# Inductor's pool of compilers imports torch once more for each test process; two of these share two cores as it is.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
# A runner makes the whole command line anew for every command; a program makes it once.
typer.testing._get_command = cache(typer.main.get_command)


def pytest_collection_finish() -> None:
    """Freeze the modules: without it, garbage collection visits all of them again, a fifteenth of the time."""
    gc.collect()
    gc.freeze()
