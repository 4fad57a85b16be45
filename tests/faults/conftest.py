"""An eventful run: whole, and stopped half-way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_runs import EVENTFUL, begin, finished, result, stopped


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """What a run leaves that nothing has disturbed."""
    run, _ = finished(tmp_path_factory.mktemp("whole"), *EVENTFUL)
    return result(run)


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped at step 91: within an episode, after the ring has wrapped, between rows of metrics."""
    return stopped(*begin(tmp_path_factory.mktemp("halted"), *EVENTFUL), at=90)


@pytest.fixture
def copy(halted: Path, tmp_path: Path) -> Path:
    """The stopped run, to be damaged."""
    return Path(shutil.copytree(halted, tmp_path / "run"))
