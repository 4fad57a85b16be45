"""The store of the tracker ``wandb``: rows wait in a CSV file, and are written as W&B's own runs when the run ends.

W&B cannot be asked what an unfinished offline run has: one that is killed could not be continued without a second copy.
All runs are therefore written anew, in a folder of their own, and then take the place of the older ones, by rename.
Tests: tests/tracking/trackers/test_wandb.py.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from composer.spec.run_files import write_text
from composer.tracking.points import PARENT
from composer.tracking.stored_runs import NOTE
from composer.tracking.trackers.rows import Row, RowsFolder, read_rows
from composer.tracking.trackers.run_cards import Part, RunCard

ROWS: Final = "rows.csv"
NEW: Final = "new"
OLD: Final = "old"
STAMP: Final = "composer.rows"
"""A file in a run of W&B, with the size of the file of rows that it has."""
MEAN: Final = "mean"
LONGEST_ID: Final = 100
LONGEST_PROJECT: Final = 128


class WandbStore(RowsFolder):
    """``offline-run-TIME-ID`` for each part of a run that has ended, as ``wandb sync`` looks for it."""

    @override
    def rows_path(self, parent: Part) -> Path:
        return self.kept(parent) / ROWS

    @override
    def finish(self, part: Part, card: RunCard) -> None:
        path, new, old = self.rows_path(part), self.kept(part) / NEW, self.kept(part) / OLD
        stamp = str(path.stat().st_size)
        ids = {role: _id(part.run, role) for role in card.tags}
        if all(self._stamp(each) == stamp for each in ids.values()):
            return
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        made = _write(new, part, card, ids, list(read_rows(path)))
        old.mkdir()
        for folder in made:
            write_text(folder / STAMP, stamp)
        for each in ids.values():
            for folder in self._runs(each):
                folder.replace(old / folder.name)
        for folder in made:
            folder.replace(self.folder / folder.name)
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)

    def _runs(self, run_id: str) -> list[Path]:
        return list(self.folder.glob(f"offline-run-{'?' * 8}_{'?' * 6}-{run_id}"))

    def _stamp(self, run_id: str) -> str | None:
        found = [path / STAMP for path in self._runs(run_id)]
        return found[0].read_text(encoding="utf-8") if len(found) == 1 and found[0].is_file() else None


def _write(folder: Path, part: Part, card: RunCard, ids: Mapping[str, str], rows: Sequence[Row]) -> list[Path]:
    """Write all parts of a run as runs of W&B in ``folder``, which is absent; their folders."""
    import wandb

    folder.mkdir(parents=True)
    made = []
    try:
        for role, run_id in ids.items():
            seed = None if role == PARENT else int(role)
            mine = sorted((row for row in rows if row.seed == seed), key=lambda row: row.step)
            run = wandb.init(
                mode="offline",
                dir=str(folder),
                project=part.experiment[:LONGEST_PROJECT],
                id=run_id,
                name=f"{card.texts[1] or part.run} · {MEAN if seed is None else f'seed {seed}'}",
                group=part.run,
                job_type=MEAN if seed is None else "seed",
                notes=card.tags[role].get(NOTE) if seed is None else None,
                config=_config(card, role),
                reinit="create_new",
                settings=_settings(),
            )
            for step, group in groupby(mine, lambda row: row.step):
                values = list(group)
                moment = values[0].time / 1000
                run.log({"_timestamp": moment, **{row.metric: row.value for row in values}}, step=step)
            run.finish(0 if card.status == "FINISHED" else 1)
            made.append(Path(run.dir).parent)
    finally:
        wandb.teardown()
    return made


def _settings() -> Any:
    """Settings of W&B: nothing of this machine or of its terminal is recorded, and nothing is printed."""
    import wandb

    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _config(card: RunCard, role: str) -> dict[str, Any]:
    """Tags and parameters; W&B groups, filters and sorts by them."""
    tags = {name: text for name, text in card.tags[role].items() if not name.startswith(("mlflow.", "composer."))}
    return {**tags, **{name: _number(text) for name, text in card.parameters.items()}}


def _number(text: str) -> int | float | str:
    """A parameter as a number where it is one: W&B sorts by it, and draws it."""
    try:
        value = float(text)
    except ValueError:
        return text
    whole = re.fullmatch(r"-?\d{1,18}", text)
    return int(text) if whole else value if math.isfinite(value) else text


def _id(run: str, role: str) -> str:
    """The id in W&B: equal whenever the run is written, so that it is one run there too."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', run)[-LONGEST_ID:]}-{MEAN if role == PARENT else role}"
