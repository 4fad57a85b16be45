"""Write what shipped blueprints resolve to, so that a changed default shows in review (``python -m tools.golden``).

One text per blueprint in tests/golden/: its resolved values, the parameters and buffers of one copy of its networks,
and for each variant the lines that differ. `make golden` refreshes them. Tests: tests/golden/test_golden.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from composer.blueprint import Blueprint, load
from composer.blueprint.serialize import resolved
from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.write import toml_value
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.family import dump_tagged
from composer.spec.package_files import blueprint_files

ROOT = Path(__file__).resolve().parents[1]
BLUEPRINTS, GOLDEN = ROOT / "blueprints", ROOT / "tests" / "golden"
WIDTH = 140
"""Characters of a value that is written on one line: a linear block with all its defaults is 128 long."""
HEADER = "# Written by `make golden`. A change here changes what the shipped blueprint means.\n"


def texts() -> dict[str, str]:
    """The text of each shipped blueprint, by the path of its file below tests/golden/."""
    found = {path.relative_to(BLUEPRINTS).with_suffix(".txt"): path for path in blueprint_files()}
    return {name.as_posix(): text(path) for name, path in found.items()}


def text(path: Path) -> str:
    """What the blueprint at ``path`` resolves to, and how each of its variants differs."""
    loaded = load(path, is_to_run=False)
    base = list(_lines(loaded.blueprint))
    pieces = [HEADER, "\n".join(base)]
    for name in loaded.variants:
        other = list(_lines(load(path, (), name, is_to_run=False).blueprint))
        changes = [*difflib.unified_diff(base, other, n=0, lineterm="")][2:]
        kept = (line for line in changes if len(line) > 1 and not line.startswith("@@"))
        pieces.append("\n".join([f"\n== variant {name}", *kept]))
    return "\n".join(pieces) + "\n"


def _lines(blueprint: Blueprint) -> Iterator[str]:
    for key, value in resolved(blueprint).items():
        yield from _values((key,), value)
    outlines = dict(blueprint.outlines) | dict(blueprint.algorithm.learned_scalars())
    for role, outline in outlines.items():
        if isinstance(outline, Outline):
            yield from _parameters(role, outline)


def _values(path: tuple[str | int, ...], value: object) -> Iterator[str]:
    """A value on one line where it fits, else its own values."""
    written = toml_value(value)
    if len(written) <= WIDTH or not isinstance(value, Mapping | list):
        yield f"{show_path(path)} = {written}"
    else:
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _values((*path, key), item)


def _parameters(role: str, outline: Outline) -> Iterator[str]:
    yield from ("", f"{role}: {outline.count():,} parameters")
    for name, plan in outline.named_parameters():
        yield f"{role} {name} {list(plan.shape)} {_first_value(plan)}"
    buffers = list(outline.named_buffers())
    for name, buffer in buffers:
        if buffer.kind == "statistic":
            yield f"{role} {name} {list(buffer.shape)} statistic from {buffer.start}"
    for kind in ("counter", "key"):
        if count := sum(buffer.kind == kind for _, buffer in buffers):
            yield f"{role}: {count} buffers of kind {kind}"


def _first_value(plan: ParameterPlan) -> str:
    notes = [
        "" if plan.trainable else " frozen",
        "" if plan.unit_axis is None else f" unit norm on axis {plan.unit_axis}",
    ]
    return f"{toml_value(dump_tagged(plan.initializer))} fans {plan.fan_in}, {plan.fan_out}{''.join(notes)}"


def main() -> None:
    """Write every text anew, and remove those of blueprints that are gone."""
    wanted = texts()
    for path in GOLDEN.rglob("*.txt"):
        if path.relative_to(GOLDEN).as_posix() not in wanted:
            path.unlink()
    for name, found in wanted.items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
