"""Above which cost a study is trained only with ``--yes``. Tests: tests/studies/planning/test_plan.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.spec.errors import ComposerError
from composer.spec.quantities import bytes_text
from composer.studies.study.study_file import Limits as Limits

GIGABYTE = 2**30
SHARE = 0.9
"""Of what is free of memory and of the disk, this much may be used without being asked."""


class AboveLimit(ComposerError):
    """A study costs more than its limits allow, and nobody has said yes."""

    exit_code = 7


def exceeded(table: Mapping[str, Any], limits: Limits) -> list[dict[str, Any]]:
    """What of a plan is above its limit, in words and numbers."""
    disk = min(limits.disk * GIGABYTE, SHARE * table["disk_free"])
    free = SHARE * table["memory_free"]
    memory = free if limits.memory is None else min(limits.memory * GIGABYTE, free)
    hours = table["hours"]["middle"]
    found = []
    if hours > limits.hours:
        found.append({"limit": "hours", "text": f"{hours:.3g} hours, the limit is {limits.hours:g} (limits.hours)"})
    for key, allowed in (("disk", disk), ("memory", memory)):
        if table[key] > allowed:
            text = f"{bytes_text(table[key])} of {key}, the limit is {bytes_text(int(allowed))} (limits.{key})"
            found.append({"limit": key, "text": text})
    return found


def ensure_agreed(above: Sequence[Mapping[str, Any]]) -> None:
    """Raise AboveLimit for costs above a limit."""
    if above:
        figures = "; ".join(str(each["text"]) for each in above)
        raise AboveLimit(f"this study takes {figures}. Train it with --yes, or raise the limit in the study's [limits]")
