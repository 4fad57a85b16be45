"""The family of data sets of transitions: files on this machine, read whole. Nothing is downloaded.

Legend: N steps, in order of time. Tests: tests/environments/test_offline_data.py.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from composer.environments.labelled.datasets.base import DataUnusable
from composer.spec.family import Family

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

WHOLE = "observation"
"""The name of an observation that has no parts."""


class Steps(NamedTuple):
    """Steps in the environment's own units."""

    observation: Arrays
    """By name of its part, ``[N, ...]``; one without parts is named ``WHOLE``."""
    action: NDArray[Any]
    """``[N, ...]``: numbers, or the indices of choices."""
    reward: NDArray[Any]
    """``[N]``"""
    terminated: NDArray[Any]
    """``[N]`` whether success or failure ended the episode after the step."""
    cut: NDArray[Any]
    """``[N]`` whether the next step belongs to something else for another reason: a time limit, or the data end."""
    following: Arrays | None = None
    """The observation after each step; None where that is the observation of the step after it."""


class OfflineData(Family, family="data_set"):
    """A data set of transitions on this machine."""

    path: Annotated[str, Field(min_length=1, max_length=4_096)]
    """The file or folder, absolute, from the home folder (``~``), or relative to the working directory."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """SHA-256 of the file, as ``sha256sum`` gives it; of a folder, the digest that ``composer record`` writes."""
    actions: Literal["native", "unit"] = "native"
    """Units of the actions: those of the environment, or composer's own, from -1 to 1."""

    @property
    def title(self) -> str:
        """Name for people."""
        return Path(self.path).name

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that are read. Raises DataUnusable where there are none."""

    @abstractmethod
    def size(self) -> int | None:
        """Number of steps, read without their content; None where the files are missing or do not tell."""

    @abstractmethod
    def read(self) -> Steps:
        """All steps. Raises DataUnusable."""

    def digest(self) -> str:
        """SHA-256 of the files. Raises DataUnusable where it is not the declared one."""
        files = self.files()
        found = files_digest(files)
        if self.sha256 and found != self.sha256:
            raise DataUnusable(f"{self.path} is not the data declared: its SHA-256 is {found}, not {self.sha256}")
        return found


def files_digest(files: list[Path]) -> str:
    """SHA-256 of one file; of several, of the lines ``name SHA-256``, where names begin at their common folder."""
    sums = {file: _file_digest(file, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(files)}
    if len(files) == 1:
        return sums[files[0]]
    folder = min((file.parent for file in files), key=lambda path: len(path.parts))
    lines = (f"{file.relative_to(folder).as_posix()} {found}\n" for file, found in sums.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def _file_digest(file: Path, modified: int, size: int) -> str:
    """Of a file that was modified then: a run asks several times."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def missing(path: Path, what: str) -> DataUnusable:
    """The error that ``path`` does not exist; ``what`` says what should be there."""
    there = next((each for each in path.absolute().parents if each.exists()), path)
    return DataUnusable(f"{path.absolute()} does not exist ({there} does); {what}")
