"""What a run learns from, as a tracking store shows it: the task with its versions, or the data set with its digest.

Tests: tests/training/test_run_dataset.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from composer.environments.base import Environment
from composer.tracking.dataset import Dataset
from composer.training.runs.libraries import versions

LENGTH: Final = 16
"""Hexadecimal digits of a digest: runs of one store are told apart by fewer."""


def run_dataset(environment: Environment, facts: Mapping[str, Any], data_digest: str = "") -> Dataset:
    """The dataset of a run with these ``facts``, the content of its ``run.json``.

    ``data_digest`` is that of the loaded data; a simulator has none. Seeds and copies of environments are no part of
    a dataset: agents that learn the same task, of the same versions, have the same one.
    """
    found, recorded = environment.contents(), facts["fingerprint"]
    libraries = {name: recorded[name] for name in versions(environment.known_libraries()) if name in recorded}
    source = {**found.settings, "versions": libraries}
    content = [found.name, data_digest or source, found.columns, found.counts]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:LENGTH]
    steps = environment.copies_per_seed * len(facts["seeds"]) if environment.is_simulator else 0
    return Dataset(found.name, digest, found.columns, found.counts, source, steps)
