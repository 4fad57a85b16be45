"""Whether the C++ compiler that inductor uses works: a small program is compiled, linked and loaded, under a deadline.

Free of torch. Tests: tests/training/test_compile_failures.py.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PROBE_SECONDS = 90.0
"""A sound compiler takes about one."""
LINE_LIMIT = 200
_PROBE = """
#include <omp.h>
#include <Python.h>
#include <cmath>
extern "C" int composer_probe() { return omp_get_max_threads() > 0 && std::abs(-1.0) > 0.5 ? 42 : 0; }
"""
_LOADS = """
import ctypes, sys
try:
    code = ctypes.CDLL(sys.argv[1]).composer_probe()
except (OSError, AttributeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
sys.exit(code != 42)
"""
_ERROR = re.compile(r"(?i)\berror\b|cannot |not found|no such file|denied|no space")


def missing_for_compiling() -> str | None:
    """What inductor needs on a CPU and this machine does not have, for people: a C++ compiler, Python's headers."""
    if shutil.which(_compiler()) is None:
        return f"no C++ compiler was found ({_compiler()})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return None if header.is_file() else f"Python's headers were not found ({header})"


def compiler_problem() -> str | None:
    """How the compiler fails, for people; None where it works. It is tried once per process."""
    return _tried(_compiler(), os.environ.get("PATH", ""))


def first_line(text: str) -> str:
    """The line of a compiler's output that says what is wrong: the first with an error, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = next((line for line in lines if _ERROR.search(line)), lines[0] if lines else "it said nothing")
    # Without the name of a temporary file before it.
    return re.sub(r"^\S+:\d+(:\d+)?: ", "", found)[:LINE_LIMIT]


def _compiler() -> str:
    return os.environ.get("CXX", "g++")


@cache
def _tried(compiler: str, _path: str) -> str | None:
    try:
        with tempfile.TemporaryDirectory(prefix="composer-") as folder:
            return _try(compiler, Path(folder))
    except OSError as error:  # No temporary folder, a full disk, no right to execute it.
        return f"{compiler} cannot be tried: {error.strerror or error}"


def _try(compiler: str, folder: Path) -> str | None:
    library = folder / "probe.so"
    (folder / "probe.cpp").write_text(_PROBE, encoding="utf-8")
    flags = ["-shared", "-fPIC", "-fopenmp", "-I", sysconfig.get_path("include"), "-o", str(library)]
    steps = {
        f"{compiler} fails": [compiler, str(folder / "probe.cpp"), *flags],
        f"what {compiler} compiles cannot be loaded": [sys.executable, "-c", _LOADS, str(library)],
    }
    for what, command in steps.items():
        code, said = _run(command, folder / "output")
        if code is None:
            return f"{compiler} has not answered for {PROBE_SECONDS:.0f} seconds"
        if code != 0:
            return f"{what}: {first_line(said)}"
    return None


def _run(command: Sequence[str], output: Path) -> tuple[int | None, str]:
    """Exit code (None at the deadline) and output of a command; what it has started ends with it."""
    # To a file: a pipe stays open for as long as any child of the compiler lives.
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=output.parent
        )
        try:
            code: int | None = process.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return code, output.read_text(encoding="utf-8", errors="replace")
