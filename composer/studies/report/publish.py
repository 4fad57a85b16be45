"""Show a study's report in MLflow: a run of its own in the experiment of the study's runs, replaced at each report.

It has the tag ``composer.role`` = ``report``, so that views of agents leave it out; the report and its tables as
artifacts; the figures as pictures, whose step is the number of runs that had ended.
Tests: tests/studies/test_publish.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from composer.studies.execution.outcome import Outcome
from composer.studies.figures.sheet import Sheet
from composer.tracking.base import StoreRefused
from composer.tracking.credentials import plain_error
from composer.tracking.media.files import FOLDER, STEP, leave
from composer.tracking.media.sending import MediaSender
from composer.tracking.records import StoredRun, Tracking
from composer.tracking.store import Store
from composer.tracking.uploader import store_variables

ROLE: Final = "report"


def publish(
    study: str, outcomes: Iterable[Outcome], sheets: Sequence[Sheet], files: Sequence[Path], folder: Path
) -> str | None:
    """Send ``files`` and ``sheets`` of a report in ``folder`` to the store of the study's runs; a problem, in words.

    Nothing is sent where the runs are not tracked, or have no pictures there. It loads mlflow (seconds).
    """
    ended = [each.directory for each in outcomes if each.directory is not None]
    found = next(((path, each) for path in ended if (each := Tracking.load(path)) is not None), None)
    if found is None or not found[1].pictures:
        return None
    for old in (folder / FOLDER).glob("*.png"):
        old.unlink()
    for sheet in sheets:
        leave(folder, f"{sheet.name}.png", sheet.content(".png", {STEP: str(len(ended))}))
    path, tracking = found
    try:
        destination = tracking.destination(path)
    except StoreRefused as refused:
        return f"the report is not in the tracking store: {refused}"
    try:
        with store_variables(destination), tracking.tracker().opened(destination) as store:
            problems = _send(study, store, tracking.experiment, destination.shown, files, folder)
    except Exception as error:  # Of a store, a network or a full disk: the report is in its folder all the same.
        problems = [plain_error(error, destination, tracking.experiment)]
    return f"the report is not in {tracking.tracker().product}: {'; '.join(problems)}" if problems else None


def _send(study: str, store: Store, experiment: str, uri: str, files: Sequence[Path], folder: Path) -> list[str]:
    """Send everything; what could not be sent, in words."""
    identity = {"composer.role": ROLE, "study": study}
    place, now = store.experiment(experiment), int(time.time() * 1000)
    run_id = store.find_run(place, identity) or store.create_run(place, f"{study} · report", identity, now)
    StoredRun(uri, place, run_id, {}).save(folder)
    problems: list[str] = []
    try:
        for file in files:
            store.log_file(run_id, file, file.parent.name if file.parent != folder else None)
        MediaSender(folder, store, run_id).send(problems, is_last=True)
        store.set_status(run_id, "FINISHED", now)
    except Exception as error:  # Of the store, which knows its credentials.
        problems.append(store.why(error))
    return problems
