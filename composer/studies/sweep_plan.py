"""``composer plan``: what a sweep would train and compile.

Variants that differ in numbers only share one compiled program. Tests: tests/studies/test_sweep_plan.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.forecast.one_program import joined, program_groups
from composer.spec.quantities import counted
from composer.studies.planning.cost import update_of
from composer.studies.sweep import finished, planned_runs


def plan(
    blueprint: Path, overrides: Sequence[str], variants: Sequence[str], runs: Path, together: int = 1
) -> dict[str, Any]:
    """A row per variant: lengths, how its update would run, its program.

    Up to ``together`` variants share a process, as in the sweep. Raises BlueprintError, Refused and SpacesUnknown.
    """
    rows = []
    planned = planned_runs(blueprint, overrides, variants, is_to_run=False)
    done = {each.name for each in planned if finished(runs, each) is not None}
    known = {each.name: each.blueprint for each in planned}
    groups = program_groups({name: each for name, each in known.items() if name not in done}, together)
    trained_as = {name: joined([known[each] for each in group]) for group in groups for name in group}
    for each in planned:
        declared = trained_as.get(each.name, each.blueprint)
        update = update_of(declared, is_shared=len(declared.seeds) > len(each.blueprint.seeds))
        rows.append(
            {
                "variant": each.name,
                "seeds": len(each.blueprint.seeds),
                "env_steps": declared.training.env_steps,
                "updates": clock_of(declared).updates_by(declared.training.env_steps),
                "finished": each.name in done,
                "program": update.program,
                "compiles": update.compiles,
                "in_background": update.in_background,
                "cached": update.is_cached,
            }
        )
    waiting = [row for row in rows if not row["finished"]]
    programs = {row["program"]: row["cached"] for row in waiting if row["compiles"]}
    return {
        "variants": rows,
        "to_train": len(waiting),
        "processes": len(groups),
        "programs": len(programs),
        "compilations": sum(not cached for cached in programs.values()),
    }


def text(table: dict[str, Any]) -> str:
    """A line per variant, and the amount of work."""
    names = [row["program"] for row in table["variants"]]
    letters = {name: f"{index + 1}" for index, name in enumerate(dict.fromkeys(names))}
    width = max(len("variant"), *(len(row["variant"]) for row in table["variants"]))
    lines = [f"{'variant':{width}}  seeds   env steps     updates  program  update"]
    for row in table["variants"]:
        how = "finished before" if row["finished"] else _how(row)
        numbers = f"{row['seeds']:5}  {row['env_steps']:10,}  {row['updates']:10,}"
        lines.append(f"{row['variant']:{width}}  {numbers}  {letters[row['program']]:>7}  {how}")
    cached = table["programs"] - table["compilations"]
    compiled = f"{counted(table['compilations'], 'compilation')}" + (f", {cached} in the cache" if cached else "")
    trained = counted(table["to_train"], "run")
    if table["processes"] < table["to_train"]:
        trained += f" in {table['processes']} process{'es' if table['processes'] > 1 else ''}"
    lines.append(f"{trained} to train; {compiled}")
    return "\n".join(lines)


def _how(row: dict[str, Any]) -> str:
    if not row["compiles"]:
        return "eager"
    how = "eager, then compiled in the background" if row["in_background"] else "compiled"
    return f"{how}, in the cache" if row["cached"] else how
