"""A study whose processes are killed leaves what an undisturbed one leaves."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from tiny_studies import Here, here

from composer.studies.execution.study_run import run_study
from composer.studies.study.load import load_study
from tools.kill_study import VICTIMS, differences, disturbed, results, write_study

__all__ = ["here"]
KILLED = ("worker", "driver", "everything")


class InTurn(random.Random):
    """Chooses each of the victims once."""

    left: list[str]

    def choice(self, options):  # type: ignore[no-untyped-def, override]
        return self.left.pop(0) if options is VICTIMS else super().choice(options)


@pytest.mark.slow
def test_driver_and_workers_are_killed_and_nothing_is_lost_or_trained_twice(tmp_path: Path, here: Here) -> None:
    """Alone kills a study's real processes: one worker, the driver, everything, each once training has gone on."""
    small = {"widths": (8, 12), "ratios": (1.0,), "resets": (True,), "seeds": 1}
    calm, stormy = (write_study(tmp_path / each, 1_200, **small) for each in ("calm", "stormy"))  # type: ignore[arg-type]
    run_study(load_study(calm), calm.parent / "runs", None, (), print)
    choose, seen = InTurn(0), [0]
    choose.left = [*KILLED]

    def wait(process: subprocess.Popen[str]) -> bool:
        """Until a journal has grown, for each victim; after them until the driver ends."""
        if not choose.left:
            process.wait()
        while process.poll() is None:
            size = sum(path.stat().st_size for path in stormy.parent.glob("runs/*/journal.jsonl"))
            if size > seen[0]:
                seen[0] = size
                return True
            time.sleep(0.02)
        return False

    counts = disturbed(stormy, 2, choose, wait)
    assert [counts[f"kills: {each}"] for each in KILLED] == [1, 1, 1] and not choose.left
    assert differences(results(calm.parent), results(stormy.parent)) == []
