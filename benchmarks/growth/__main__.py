"""``python -m benchmarks.growth [PART ...] --out FILE --plot FILE``: measure, write JSON, draw.

Parts: the axes of an update (``width``, ``depth``, ``batch``, ``seeds``, ``replay``, ``interventions``),
``diagnostics`` and ``runs``; all of them without any. The file is written after each.
Tests: tests/benchmarks/test_growth.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.growth import long_run, readings, updates
from benchmarks.growth.plot import plot

Rows = list[dict[str, Any]]

PARTS: Final[dict[str, Callable[[], Rows]]] = {
    **{axis: partial(updates.measure, axis) for axis in updates.AXES},
    "diagnostics": readings.measure,
    "runs": lambda: [long_run.measure(steps) for steps in long_run.STEPS],
}


def main(arguments: Sequence[str]) -> None:
    """Measure the parts, one after the other; a file that is there keeps its other parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/growth.json"), metavar="FILE")
    parser.add_argument("--plot", type=Path, default=None, metavar="FILE", help="draw the axes in the file")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found: dict[str, Rows] = json.loads(given.out.read_text()) if given.out.is_file() else {}
    for part in given.parts or PARTS:
        found[part] = PARTS[part]()
        given.out.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found[part], indent=1), flush=True)
    if given.plot is not None:
        plot([row for axis in updates.AXES for row in found.get(axis, ())], given.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
