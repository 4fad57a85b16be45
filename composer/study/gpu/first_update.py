"""``python -m composer.study.gpu.first_update BLUEPRINT DEVICE compiled|eager``: one update, and what came before it.

The process that ``startup`` times; it prints seconds as JSON. Tests: tests/study/test_gpu_suite.py.
"""

from __future__ import annotations

import json
import sys
import time

import psutil


def main() -> None:
    """Import, build, update once, say how long each took."""
    began = psutil.Process().create_time()
    from composer.ahead import example
    from composer.blueprint import load
    from composer.compiling import Choice
    from composer.study.gpu.agents import agent

    imported = time.time()
    file, device, mode = sys.argv[1:]
    one = agent(load(file, is_to_run=False).blueprint, device, Choice(mode == "compiled", "measured"))
    arguments = example(one.learner, one.info)
    built = time.time()
    one.learner.update(*arguments)
    one.learner.drain_signals()
    done = time.time()
    seconds = {"importing, s": imported - began, "building, s": built - imported, "first update, s": done - built}
    print(json.dumps({**seconds, "together, s": done - began}))


if __name__ == "__main__":
    main()
