"""Whether a run still has the settings that it was started with: a run whose settings were edited is refused.

``run.json`` holds a copy of the blueprint and the hash of itself, and every checkpoint a copy of ``run.json``. So an
edit of either file is found, and shown key by key. Tests: tests/faults/test_edited.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.blueprint.serialize import Difference, differences
from composer.spec.errors import ComposerError
from composer.training.runs.disk import seal

BLUEPRINT = "blueprint"
SEAL = "sha256"
FREE = ("description", "tracking")
"""Tables of the blueprint that may be edited: neither training nor evaluation reads them."""


class RunEdited(ComposerError, RuntimeError):
    """The settings of a run are not those that it was started with; the message lists the changed keys."""

    exit_code = 2


def sealed(facts: Mapping[str, Any], blueprint: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``run.json``: ``facts``, a copy of the resolved blueprint, and the hash of both."""
    content = {key: value for key, value in facts.items() if key != SEAL} | {BLUEPRINT: blueprint}
    return content | {SEAL: seal(content)}


def check_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Raise RunEdited where the ``run.json`` of the run at ``path`` has not the hash that it holds.

    Runs of older versions hold none.
    """
    if SEAL in facts and facts[SEAL] != seal({key: value for key, value in facts.items() if key != SEAL}):
        raise RunEdited(f"{path / 'run.json'} was edited or damaged: its SHA-256 is not the one that it holds")


def check_blueprint(path: Path, facts: Mapping[str, Any], blueprint: Mapping[str, Any]) -> None:
    """Raise RunEdited where the table of ``blueprint.toml`` is not the one that ``run.json`` has a copy of."""
    if BLUEPRINT not in facts:
        return
    changed = [each for each in differences(facts[BLUEPRINT], blueprint) if each.key.partition(".")[0] not in FREE]
    if changed:
        set_anew = [f"~{each.key}" for each in changed if each.right is None]
        set_anew += [f"{each.key}={json.dumps(each.right)}" for each in changed if each.right is not None]
        keys = " ".join("'" + text.replace("'", "'\"'\"'") + "'" for text in set_anew)
        raise RunEdited(
            f"{path / 'blueprint.toml'} was edited since the run began:\n{_lines(changed)}\n"
            f"a run keeps its settings: put them back, or continue it under others as a new run:"
            f" composer fork {shlex.quote(str(path))}{f' {keys}' if keys else ' KEY=VALUE'}"
        )


def check_record(checkpoint: Path, record: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> None:
    """Raise RunEdited where a checkpoint was written under another ``run.json`` than ``facts``.

    ``record`` is the copy in the checkpoint; checkpoints of older versions have none.
    """
    if record is not None and record != facts:
        changed = [each for each in differences(record, facts) if each.key != SEAL]
        raise RunEdited(
            f"{checkpoint} was written under other settings than those in run.json, which was edited, or belongs to"
            f" another run:\n{_lines(changed)}"
        )


def _lines(changed: list[Difference]) -> str:
    return "\n".join(f"  {each.key}: {_shown(each.left)} → {_shown(each.right)}" for each in changed)


def _shown(value: object) -> str:
    return "(absent)" if value is None else json.dumps(value, ensure_ascii=False)
