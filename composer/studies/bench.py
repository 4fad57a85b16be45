"""How fast a blueprint learns on this machine: updates per second, eager and compiled, by number of seeds in a program.

The learner is the one that trains; it updates on a batch of zeros, so neither environment nor replay is part of the
time. Tests: tests/studies/test_bench.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.load import ensure_checked
from composer.spec.quantities import columns, counted, duration
from composer.spec.wording import quote
from composer.studies import Refused
from composer.training.assemble import device_for, set_up_process
from composer.training.compile.capture import Choice, choose, eager_after
from composer.training.compile.first_call import CompileFailed
from composer.training.compile_ahead import example
from composer.training.learner import Learner
from composer.training.timing import in_turns, lap

ROUNDS = 5
MOST_SEEDS = 64
UNSTEADY = 1.5
"""Ratio of the highest rate to the lowest from which the table says that rounds disagree."""

Alternative = tuple[int, bool]
"""How many seeds train in one program, and whether it is compiled."""


def bench(blueprint: Blueprint, seeds: Sequence[int], seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Time the update for each number of ``seeds``, in turns, ``ROUNDS`` laps of ``seconds`` each; progress to ``say``.

    Raises Unavailable for a device that is not there.
    """
    blueprint = ensure_checked(blueprint, is_to_run=False)
    device = device_for(blueprint.compute.device)
    possible = choose("auto", device, 10**12)
    calls: dict[Alternative, Callable[[], object]] = {}
    for count in seeds:
        for compiled in (False, True)[: 1 + possible.compiled]:
            say(f"{_named(compiled)} update of {counted(count, 'seed')}: first call")
            try:
                calls[count, compiled] = update_of(blueprint, count, device, compiled)
            except CompileFailed as failure:
                possible = eager_after(str(failure))
                say(possible.reason)
    settle = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    laps = {key: partial(lap, call, seconds, settle) for key, call in calls.items()}
    rates = in_turns(laps, ROUNDS, lambda number: say(f"round {number} of {ROUNDS}" if number else "warming up"))
    per_call = blueprint.compute.updates_per_call
    found = {key: [one.rate * per_call for one in several] for key, several in rates.items()}
    updates = clock_of(blueprint).updates_by(blueprint.training.env_steps)
    return {
        "blueprint": blueprint.name,
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "rounds": ROUNDS,
        "updates_of_a_run": updates,
        "not_compiled": None if possible.compiled else possible.reason,
        "rows": [_row(key, found, updates) for key in found],
    }


def update_of(blueprint: Blueprint, seeds: int, device: str, compiled: bool) -> Callable[[], object]:
    """The update of a new learner of so many seeds, as a call; the first call, which compiles, is done here."""
    several = blueprint.model_copy(update={"seeds": tuple(range(seeds))})
    set_up_process(several, device)
    info = several.environment.info
    learner = Learner(several.agent, device, Choice(compiled, "composer bench compares them"))
    batches = [example(learner, info)] * several.compute.updates_per_call
    call = partial(learner.learn, batches)
    call()
    return call


def seed_counts(text: str) -> tuple[int, ...]:
    """The numbers of seeds in a text such as ``1,2,4``, each once; raises Refused."""
    counts = [int(part) if part.strip().isdigit() else 0 for part in text.split(",")]
    if not all(1 <= count <= MOST_SEEDS for count in counts):
        raise Refused(f"--seeds takes numbers of seeds from 1 to {MOST_SEEDS}, such as 1,2,4; got {quote(text)}")
    return tuple(dict.fromkeys(counts))


def text(table: dict[str, Any]) -> str:
    """The table for the terminal."""
    lines = [("seeds", "update", "updates/s", "range", "agent updates/s", "vs first", "updates of a run")]
    for row in table["rows"]:
        cells = (
            str(row["seeds"]),
            _named(row["compiled"]),
            _number(row["updates_per_second"]),
            f"{_number(row['lowest'])} to {_number(row['highest'])}",
            _number(row["agent_updates_per_second"]),
            f"{row['times_first']:.2f}x",
            duration(row["seconds_of_a_run"]),
        )
        lines.append(cells)
    where = f"{table['device']}, {counted(table['threads'], 'thread')}"
    title = f"{table['blueprint']} on {where}: median of {table['rounds']} rounds of {table['seconds']:g} s"
    notes = [f"a run makes {table['updates_of_a_run']:,} updates; its environment steps take time of their own"]
    if any(row["highest"] > UNSTEADY * row["lowest"] for row in table["rows"]):
        notes.append("rates differ widely between rounds: other processes were busy; measure again on an idle machine")
    if table["not_compiled"]:
        notes.append(f"the compiled update was not measured: {table['not_compiled']}")
    return "\n".join([title, *columns(lines, right=range(len(lines[0]))), *notes])


def _row(key: Alternative, found: dict[Alternative, list[float]], updates: int) -> dict[str, Any]:
    (count, compiled), rates = key, found[key]
    first = next(iter(found))
    rate = median(rates)
    return {
        "seeds": count,
        "compiled": compiled,
        "updates_per_second": rate,
        "lowest": min(rates),
        "highest": max(rates),
        "agent_updates_per_second": rate * count,
        "times_first": rate * count / (median(found[first]) * first[0]),
        "seconds_of_a_run": updates / rate,
    }


def _named(compiled: bool) -> str:
    return "compiled" if compiled else "eager"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
