"""The study that a run belongs to, as the process that starts it is told by its environment.

Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

import json
import os
from typing import Any

from composer.spec.errors import ComposerError

STUDY = "COMPOSER_STUDY"
"""The variable holds JSON: ``{"name", "folder", "points": {KEY: {"label", "point": {AXIS: VALUE}}}}``.

KEY is the digest of a run's settings.
"""


class NoStudy(ComposerError):
    """The variable does not hold what a study writes there."""

    exit_code = 2


def study_facts(key: str) -> dict[str, Any]:
    """The entry ``study`` of ``run.json`` of a run with these settings; empty where it belongs to none.

    ``{"name", "folder", "label", "point": {AXIS: VALUE}}``, for tables and figures: neither the digest nor the
    provenance hash depends on it. Raises NoStudy.
    """
    text = os.environ.get(STUDY)
    if text is None:
        return {}
    try:
        study = json.loads(text)
        if key not in study["points"]:
            return {}
        point = study["points"][key]
        named = {"name": str(study["name"]), "folder": str(study["folder"]), "label": str(point["label"])}
        return {"study": named | {"point": dict(point["point"])}}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoStudy(f"{STUDY} is set, but not by a study: unset it") from None
