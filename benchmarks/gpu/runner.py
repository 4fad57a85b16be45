"""Run pieces one after another: finished ones are not repeated, and failures do not stop the others.

At full scale each piece has a process of its own, ended when its time is over, so a broken CUDA context, or code that
hangs, affects one piece. At toy scale all run here. Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.pieces import Findings, Piece, Skipped, chosen, told
from benchmarks.gpu.setting import Setting, machine

LEAST_MINUTES = 1.0
"""A piece does not begin with less time than this."""
Record = dict[str, Any]
"""The JSON of a piece."""


class Mixed(RuntimeError):
    """A folder has results of another scale or device, which would be overwritten."""


def run(
    wanted: Sequence[Piece],
    setting: Setting,
    say: Callable[[str], None],
    again: bool = False,
    isolated: bool = True,
    total: float = math.inf,
) -> dict[str, str]:
    """Run the pieces that are not done; returns the state of each that was: done, failed, skipped or unfinished.

    ``isolated`` gives each a process of its own. No piece goes on, or begins in the last minute, after ``total``
    minutes. Raises Mixed before anything is run.
    """
    for piece in wanted:
        _refuse_others(read(setting.out, piece.name), setting)
    ends = time.monotonic() + 60 * total
    setting.out.mkdir(parents=True, exist_ok=True)
    states = {}
    for piece in wanted:
        known = read(setting.out, piece.name)
        if known is not None and known["state"] == "done" and not again:
            say(f"{piece.name}: done before")
        else:
            left = (ends - time.monotonic()) / 60
            if left < LEAST_MINUTES:
                say(f"{piece.name}: no time is left")
                continue
            say(f"{piece.name}: begins")
            limited = replace(setting, minutes=min(setting.minutes, piece.minutes, left))
            (_apart if isolated else perform)(piece, limited)
            known = read(setting.out, piece.name)
            assert known is not None
            say(f"{piece.name}: {known['state']}{': ' + known['why'] if known['why'] else ''} ({known['seconds']} s)")
        states[piece.name] = known["state"]
    return states


def perform(piece: Piece, setting: Setting) -> None:
    """Run one piece in this process and write its result."""
    began = time.monotonic()
    findings, state, why = Findings(), "done", ""
    try:
        findings = piece.run(setting)
    except Skipped as missing:
        state, why = "skipped", str(missing)
    except Exception as error:  # Any error of a piece becomes its result.
        state, why = "failed", told(error)
    missed = [check.name for check in findings.checks if not check.passed]
    if missed or findings.errors:
        beyond = [f"beyond the limit: {', '.join(missed)}"] if missed else []
        state, why = "failed", "; ".join([*beyond, *findings.errors])
    elif state == "done" and not findings.finished:
        state, why = "unfinished", "goes on when it is called again"
    _write(piece, setting, state, why, time.monotonic() - began, findings)


def read(out: Path, name: str) -> Record | None:
    """The result of a piece; None where there is none."""
    try:
        found: Record = json.loads((out / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return found


def _refuse_others(known: Record | None, setting: Setting) -> None:
    if known is None:
        return
    theirs, ours = (known["scale"], known["device"]), (setting.scale, setting.device)
    if theirs != ours:
        raise Mixed(
            f"{setting.out} holds {known['piece']} at scale {theirs[0]} on {theirs[1]}, and this is scale {ours[0]} on "
            f"{ours[1]}; choose another folder with --out"
        )


def _apart(piece: Piece, setting: Setting) -> None:
    """Run in a process of its own, with a time limit."""
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(piece.name, setting))
    began = time.monotonic()
    process.start()
    process.join(60 * setting.minutes)
    late = process.is_alive()
    if late:
        process.terminate()
        process.join(60)
        process.kill()
        process.join()
    # A training run handles the signal: it saves, and its piece has written a result.
    if process.exitcode:
        why = f"took longer than {setting.minutes:g} minutes" if late else f"its process ended with {process.exitcode}"
        _write(piece, setting, "failed", why, time.monotonic() - began, Findings(), here=False)


def _serve(name: str, setting: Setting) -> None:
    (piece,) = chosen([name])
    perform(piece, setting)


def _write(
    piece: Piece, setting: Setting, state: str, why: str, seconds: float, findings: Findings, here: bool = True
) -> None:
    """Write to a temporary file and rename it. ``here``: this process computed the result."""
    record = {
        "piece": piece.name,
        "shows": piece.shows,
        "state": state,
        "why": why,
        "scale": setting.scale,
        "device": setting.device,
        "command": setting.command,
        "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "seconds": round(seconds, 1),
        # After a crash the device may be unusable too: it is not queried.
        "machine": machine(setting.device if here else "cpu"),
        "checks": [check.table() for check in findings.checks],
        "rows": findings.rows,
        "notes": findings.notes,
        **findings.data,
    }
    staged = setting.out / f".tmp-{piece.name}.json"
    staged.write_text(json.dumps(_finite(record), indent=1, allow_nan=False) + "\n")
    os.replace(staged, setting.out / f"{piece.name}.json")


def _finite(value: Any) -> Any:
    """A copy with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
