"""Rows of the journal as its own values: names as the journal has them, no means over seeds.

``composer.read`` gives the same values of a run directory. Tests: tests/tracking/trackers/test_rows.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from composer.tracking.journal import JournalRow
from composer.tracking.points import PARENT, Point


class Values:
    """Follows one journal, from its first row, in order. An event is ``events/NAME``, with the number of its firings.

    Each (run, name, step) is given once: of two rows with the same one, the first counts.
    """

    def __init__(self) -> None:
        self._step: int | None = None
        self._seen: set[tuple[str, str]] = set()

    def of(self, row: JournalRow) -> Iterator[Point]:
        """The values of the next row; rows of no seed are the parent's."""
        step, seed = row["env_step"], row.get("seed")
        if row["type"] == "timing" and self._step is not None and step < self._step:
            return  # A resumed run repeats steps, and the journal of wall-clock times is not cut back.
        if step != self._step:
            self._step, self._seen = step, set()
        run = PARENT if seed is None else str(seed)
        is_event = row["type"] == "event"
        values = {f"events/{row['name']}": row.get("firings", 1)} if is_event else row["metrics"]
        for name, value in values.items():
            plain = " ".join(name.splitlines())
            if (run, plain) not in self._seen:
                self._seen.add((run, plain))
                yield Point(run, plain, step, float(value))
