"""The trials of a search on disk: Optuna's journal, in the folder of the study.

A trial that was running when the search died is running in the journal, and is continued under its number.
Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from composer.studies import Refused
from composer.studies.search.table import SearchTable
from composer.tracking.locks import lock_exclusive, open_lock

JOURNAL = "trials.optuna.jsonl"
"""Optuna's journal, which ``optuna-dashboard`` shows too."""
SUBJECT = "searched"
"""The attribute of the study that holds what is searched."""


def optuna() -> Any:
    """The package, which says nothing below a warning; Refused where it is absent."""
    try:
        import optuna as package
    except ImportError:
        raise Refused('a search needs Optuna: install "rl-composer[search]"') from None
    package.logging.set_verbosity(package.logging.WARNING)
    return package


class _Locked:
    """What Optuna locks its journal with. Its own locks outlive a kill: ours is the kernel's, held all along."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextmanager
def trials_in(folder: Path, table: SearchTable, subject: Mapping[str, Any]) -> Iterator[Any]:
    """The study of Optuna in ``folder``, with the trials that were made before. Refused where it is in use, or other.

    ``subject`` is what a score depends on, beside the table: trials of another one are of no use here.
    """
    package = optuna()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    file = open_lock(path)
    try:
        if not lock_exclusive(file, 0.0):
            raise Refused(f"another search is running in {folder}")
        _end_line(file)
        backend = package.storages.journal.JournalFileBackend(str(path), lock_obj=_Locked())
        storage = package.storages.JournalStorage(backend)
        direction = "maximize" if table.maximise else "minimize"
        study = package.create_study(storage=storage, study_name="search", direction=direction, load_if_exists=True)
        _remember(study, {"table": table.model_dump(mode="json", exclude={"trials"}), **subject}, path)
        yield study
    finally:
        os.close(file)


def _remember(study: Any, subject: Mapping[str, Any], path: Path) -> None:
    now, before = json.loads(json.dumps(subject)), study.user_attrs.get(SUBJECT)
    if before is None:
        study.set_user_attr(SUBJECT, now)
    elif before != now:
        raise Refused(
            f"{path} has trials of another search, which differs in {', '.join(sorted(_differing(before, now)))}: "
            "search in another folder with --out, or move that one away"
        )


def sampler(table: SearchTable, number: int) -> Any:
    """The sampler of the trial ``number``: its draws depend on the seed, the number, and the trials before it alone."""
    package = optuna()
    seed = (table.seed * 1_000_003 + number) % 2**32
    if table.sampler == "random":
        return package.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # Both are on by themselves from Optuna 5 on.
        warnings.simplefilter("ignore", package.exceptions.ExperimentalWarning)
        return package.samplers.TPESampler(
            n_startup_trials=table.startup, seed=seed, multivariate=True, constant_liar=True
        )


def pruner(table: SearchTable, env_steps: int) -> Any:
    """The pruner of trials whose reports end at ``env_steps``."""
    pruners = optuna().pruners
    first = max(1, int(table.warmup * env_steps))
    if table.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=min(5, table.startup), n_warmup_steps=first - 1)
    if table.pruner == "asha":
        return pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=2)
    return pruners.NopPruner()


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    keys = {key for key in {*before, *now} - {"table"} if before.get(key) != now.get(key)}
    ours, theirs = now["table"], before.get("table", {})
    return keys | {f"[search] {key}" for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}


def _end_line(file: int) -> None:
    """Cut a line that a killed search left half written."""
    os.ftruncate(file, os.pread(file, os.fstat(file).st_size, 0).rfind(b"\n") + 1)
