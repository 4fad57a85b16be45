"""``python -m benchmarks.gpu``: run what is not done yet, then write the page.

Exit codes: 0 all is done or skipped; 1 a piece failed; 2 the command is wrong; 3 a piece is unfinished: call again.
Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.gpu import runner, tables
from benchmarks.gpu.pieces import chosen, pieces
from benchmarks.gpu.setting import Setting
from composer.training.compile.compiler import missing_for_compiling

_CODES = {"failed": 1, "unfinished": 3}


def main(arguments: Sequence[str]) -> int:
    """The command; progress goes to standard error, names and the page's path to standard output."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        wanted = chosen(given.pieces.split(",") if given.pieces else None)
    except LookupError as error:
        parser.error(str(error.args[0]))
    if given.list:
        print("\n".join(f"{piece.name}: {piece.shows}" for piece in wanted))
        return 0
    states: dict[str, str] = {}
    if not given.tables:
        problem = _problem(given)
        if problem:
            parser.error(problem)
        try:
            isolated = given.scale == "full"
            states = runner.run(wanted, _setting(given, arguments), _say, given.again, isolated, given.total)
        except runner.Mixed as error:
            parser.error(str(error))
    print(tables.write(list(pieces().values()), given.out))
    return _end(states)


def _end(states: dict[str, str]) -> int:
    """Print the pieces that are left, and return the exit code."""
    for state, told in (("failed", "failed"), ("unfinished", "unfinished, call again to go on")):
        names = [name for name, found in states.items() if found == state]
        if names:
            _say(f"{told}: {', '.join(names)}")
    return next((code for state, code in _CODES.items() if state in states.values()), 0)


def _problem(given: argparse.Namespace) -> str | None:
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        return "torch sees no GPU here; --device cpu --scale toy runs everything at toy size"
    if given.published is not None and not given.published.is_file():
        return f"no such file: {given.published}"
    return None if min(given.minutes, given.total) > 0 else "--minutes and --total must be more than 0"


def _setting(given: argparse.Namespace, arguments: Sequence[str]) -> Setting:
    # At toy size on a CPU, compiling would take longer than all the rest.
    on_gpu = given.device.startswith("cuda")
    compiles = on_gpu or (given.scale == "full" and missing_for_compiling() is None)
    # The path of published results is private to a machine: only the file name is kept.
    shown = [Path(word).name if given.published and word == str(given.published) else word for word in arguments]
    command = shlex.join(["python", "-m", "benchmarks.gpu", *shown])
    return Setting(given.device, given.scale, given.minutes, given.out, given.runs, compiles, given.published, command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Everything worth a GPU's minutes.")
    add = parser.add_argument
    add("--out", type=Path, default=Path("docs/benchmarks/gpu"), metavar="DIR", help="folder of the results")
    add("--runs", type=Path, default=Path("runs/gpu"), metavar="DIR", help="folder of the training runs")
    add("--pieces", metavar="NAME,NAME", help="only these pieces")
    add("--list", action="store_true", help="tell the pieces, run none")
    add("--tables", action="store_true", help="write the page, run nothing")
    add("--again", action="store_true", help="run what is done once more")
    add("--device", default="cuda", help="cuda, or cpu")
    add(
        "--scale", choices=("full", "toy"), default="full", help="toy proves that everything runs, and measures nothing"
    )
    add("--minutes", type=float, default=8.0, help="that a piece may take; longer ones go on when called again")
    add("--total", type=float, default=math.inf, help="minutes for all pieces; those that matter most come first")
    add("--published", type=Path, metavar="CSV", help="published results to stand beside learning curves")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
