"""The process that compiles the update of a run: ``python -m composer.training.assemble.compile_process RUN DEVICE``.

Tests: tests/training/test_compile_ahead.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from composer.blueprint.load import ensure_checked
from composer.spec.errors import ComposerError
from composer.training.assemble.kept_programs import keep_programs
from composer.training.assemble.process import set_up_process
from composer.training.compile.capture import Choice
from composer.training.compile.compiler import compiler_problem
from composer.training.compile.first_call import CompileFailed
from composer.training.compile_ahead import example
from composer.training.learner import Learner
from composer.training.runs.directory import read_blueprint

NICE = 10
"""Niceness of this process: training goes first."""


def compile_update(run: Path, device: str) -> None:
    """Compile the update of a run, under its threads and precision, into the cache."""
    blueprint = ensure_checked(read_blueprint(run), is_to_run=False)
    set_up_process(blueprint, device)
    if device == "cpu" and (problem := compiler_problem()) is not None:
        raise CompileFailed(problem)
    learner = Learner(blueprint.agent, device, Choice(True, "compiling ahead"))
    keep_programs(learner, blueprint, print)
    learner.update(*example(learner, blueprint.environment.info))


if __name__ == "__main__":
    os.nice(NICE)
    try:
        compile_update(Path(sys.argv[1]), sys.argv[2])
    except ComposerError as error:
        sys.exit(str(error))
