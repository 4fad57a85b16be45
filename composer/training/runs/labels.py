"""What a user calls a run: a name and tags, which change nothing of what it trains.

They are kept in ``run.json``; the tags go to the tracking store too. Tests: tests/training/test_labels.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from composer.spec.errors import ComposerError
from composer.training.runs.directory import new_id

LONGEST_VALUE: Final = 5_000
"""Characters of a tag in MLflow."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/ ]{0,199}")
_OURS: Final = (
    *("agent", "blueprint", "variants", "suite", "task", "seeds", "seed", "algorithm", "study", "point", "git"),
    "parameters",
)


class LabelError(ComposerError, ValueError):
    """A name or a tag that a run cannot have."""

    exit_code = 2


@dataclass(frozen=True)
class Labels:
    """A name, by default the blueprint's with its variants, and tags."""

    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def run_id(self, blueprint: str, variant: str | None) -> str:
        """A new id of a run: the name, else those of blueprint and variant, and the time."""
        return new_id(blueprint, variant) if self.name is None else new_id(self.name, None)

    def facts(self) -> dict[str, Any]:
        """For ``run.json``; nothing without tags."""
        return {"tags": dict(self.tags)} if self.tags else {}


UNLABELLED: Final = Labels()


def labels(name: str | None, tags: Mapping[str, str]) -> Labels:
    """Valid labels. Raises LabelError."""
    if name is not None and not _NAME.fullmatch(name):
        raise LabelError(f"name {name!r}: a name has letters, digits, '.', '_' and '-', at most 100, no sign first")
    for key, value in tags.items():
        if not _KEY.fullmatch(key):
            raise LabelError(f"tag {key!r}: a key has letters, digits, '.', '_', '-', '/' and ' ', at most 200")
        if key in _OURS or key.startswith(("mlflow.", "composer.")):
            raise LabelError(f"tag {key!r}: composer sets this tag itself; choose another key")
        if len(value) > LONGEST_VALUE:
            raise LabelError(f"tag {key!r}: its value has {len(value):,} characters, {LONGEST_VALUE:,} are possible")
    return Labels(name, dict(tags))


def tags_in(texts: Sequence[str]) -> dict[str, str]:
    """The tags of ``--tag KEY=VALUE``, which are not checked yet. Raises LabelError."""
    found: dict[str, str] = {}
    for text in texts:
        key, is_pair, value = text.partition("=")
        if not is_pair:
            raise LabelError(f"--tag {text!r}: expected KEY=VALUE")
        if key in found:
            raise LabelError(f"--tag {text!r}: {key!r} is given twice")
        found[key] = value
    return found
