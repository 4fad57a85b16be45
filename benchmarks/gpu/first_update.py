"""``python -m benchmarks.gpu.first_update BLUEPRINT DEVICE MODE KEY=VALUE...``: the time to the first update.

The process that ``startup`` times; it prints seconds as JSON. BLUEPRINT is a shipped one, MODE compiled
or eager. Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import json
import sys
import time

import psutil


def main() -> None:
    """Import, build and update once; print the time of each."""
    began = psutil.Process().create_time()
    from benchmarks.gpu.agents import agent
    from composer.blueprint import load
    from composer.blueprint.syntax.extends import shipped
    from composer.training.compile.capture import Choice
    from composer.training.compile_ahead import example

    imported = time.time()
    name, device, mode, *overrides = sys.argv[1:]
    blueprint = load(shipped()[name], overrides, is_to_run=False).blueprint
    one = agent(blueprint, device, Choice(mode == "compiled", "measured"))
    arguments = example(one.learner, one.info)
    built = time.time()
    one.learner.update(*arguments)
    one.learner.drain_signals()
    done = time.time()
    seconds = {"importing, s": imported - began, "building, s": built - imported, "first update, s": done - built}
    print(json.dumps({**seconds, "together, s": done - began}))


if __name__ == "__main__":
    main()
