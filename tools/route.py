"""Count the way from ``composer train`` to the first gradient step: ``tools/route.py [BLUEPRINT [KEY=VALUE...]]``.

It trains a shortened blueprint twice, each time in a process of its own and until its first gradient step: once under a
profiler that counts calls, once plainly, for the times to the first line, environment step and gradient step.
Tests: tests/training/test_route.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from composer.training.session import Session

ROOT = Path(__file__).resolve().parent.parent / "composer"
SHORT = (
    "training.env_steps=1200",
    "algorithm.warmup_interactions=100",
    "compute.compile=never",
    "tracking.kind=none",
)
"""What makes the default blueprint short. Other blueprints bring their own overrides."""
NEEDLESS = (
    *("torch._dynamo", "torch._inductor", "sympy", "triton", "mlflow", "pandas", "pyarrow", "matplotlib", "PIL"),
    *("gymnasium", "ale_py", "jax", "optuna", "onnx"),
)
"""Libraries that an eager run of the default blueprint does not need before its first gradient step."""
OPTIMIZED = 1
"""``CO_OPTIMIZED``: set on the code of functions, not on that of modules and class bodies."""


class Reached(BaseException):
    """The first gradient step is about to be taken; the command takes it for code that tried to end the process."""

    count = 0

    def __init__(self) -> None:
        """It has happened."""
        Reached.count += 1


def main() -> None:
    """Measure in two processes; print a table."""
    arguments = sys.argv[1:] or ["quickstart", *SHORT]
    counts, clock = (_in_a_process(mode, arguments) for mode in ("count", "time"))
    for name, value in {**counts, **clock}.items():
        print(f"{name:42} {value}")


def _in_a_process(mode: str, arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, __file__, f"--{mode}", str(time.time()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _count(arguments: list[str]) -> dict[str, Any]:
    calls: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & OPTIMIZED and code.co_filename.startswith(str(ROOT)):
            file = Path(code.co_filename).relative_to(ROOT).as_posix()
            if (file, code.co_qualname) == ("training/gradient_step.py", "GradientStep.apply"):
                sys.setprofile(None)
                raise Reached
            calls[file, code.co_qualname] += 1

    sys.setprofile(note)
    _train(arguments)
    files = {file for file, _ in calls}

    def total(*ends: str, folder: str = "") -> int:
        return sum(n for (file, name), n in calls.items() if name.endswith(ends) and file.startswith(folder))

    return {
        "files whose functions run": len(files),
        "rooms": len({file.split("/")[0] for file in files if "/" in file}),
        "functions": len(calls),
        "validations of the root blueprint": total("Blueprint._are_distinct"),
        "memory forecasts": calls["blueprint/forecast/memory.py", "_forecast"],
        "descriptions of the environment": total(".describe", folder="environments/"),
        "needless libraries imported": " ".join(name for name in NEEDLESS if name in sys.modules),
    }


def _time(arguments: list[str], began: float) -> dict[str, Any]:
    from composer.spec.stages import Stages

    found: dict[str, Any] = {}
    line, begin = Stages.line, Stages.begin

    def note(moment: str) -> None:
        found.setdefault(f"seconds to the first {moment}", round(time.time() - began, 2))
        found.setdefault(f"of the processor, to the first {moment}", round(time.process_time(), 2))

    def first_line(stages: Stages, text: str) -> None:
        line(stages, text)
        note("line")

    def reached(*_: object) -> None:
        note("gradient step")
        raise Reached

    def begun(stages: Stages, name: str) -> None:
        begin(stages, name)
        if name == "building networks":  # Not before: the command itself is to import what it needs, in its order.
            from composer.training import loop
            from composer.training.gradient_step import GradientStep

            collect = loop._collect

            def collecting(session: Session) -> None:
                note("environment step")
                collect(session)

            loop._collect = collecting
            GradientStep.apply = reached  # type: ignore[method-assign, assignment]

    Stages.line, Stages.begin = first_line, begun  # type: ignore[method-assign, assignment]
    _train(arguments)
    return found


def _train(arguments: list[str]) -> None:
    from composer.cli import app

    with tempfile.TemporaryDirectory() as runs:
        app(["train", *arguments, "--runs", runs], standalone_mode=False)
    if not Reached.count:
        raise SystemExit("no gradient step was taken")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        print(json.dumps(_count(sys.argv[3:])))
    elif sys.argv[1:2] == ["--time"]:
        print(json.dumps(_time(sys.argv[3:], float(sys.argv[2]))))
    else:
        main()
