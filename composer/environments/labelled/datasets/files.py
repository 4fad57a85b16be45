"""Files of data sets in a local folder: their presence, sizes and checksums are checked before they are used.

Tests: tests/environments/test_datasets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from composer.environments.labelled.datasets.base import DataUnusable
from composer.spec.wording import listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Folder = Annotated[str, Field(min_length=1, max_length=4_096)]
"""A folder on this machine, absolute or relative to the working directory."""
Checksums = dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
"""SHA-256 by file name, in lower-case hexadecimal digits."""


def folder_of(name: str, meant: str) -> Path:
    """The folder ``name``; ``meant`` describes what should be there. Raises DataUnusable where it is missing."""
    path = Path(name)
    if not path.is_dir():
        what = "is no folder" if path.exists() else "does not exist"
        raise DataUnusable(f"{path.absolute()} {what}; {meant}: 'composer data' says what to fetch")
    return path


def file_of(folder: Path, name: str, meant: str) -> Path:
    """The file ``name`` in a folder. Raises DataUnusable where it is missing."""
    path = folder / name
    if not path.is_file():
        there = listing(each.name for each in folder.iterdir())
        raise DataUnusable(f"{folder.absolute()} has no file {name!r}; it holds {there}; {meant}")
    return path


def records_of(path: Path, records: int, length: int, checksums: Mapping[str, str]) -> NDArray[np.uint8]:
    """A file of ``records`` rows of ``length`` bytes, ``[records, length]``. Raises DataUnusable."""
    import numpy as np

    size, wanted = path.stat().st_size, records * length
    if size != wanted:
        how = "cut short" if size < wanted else "too long"
        raise DataUnusable(f"{path} is {how}: {size:,} bytes instead of {wanted:,} ({records:,} records of {length:,})")
    content = path.read_bytes()
    if path.name in checksums:
        check(path, content, checksums[path.name])
    return np.frombuffer(content, np.uint8).reshape(records, length)


def check(path: Path, content: bytes, wanted: str) -> None:
    """Raise DataUnusable where the content has another SHA-256."""
    found = sha256(content).hexdigest()
    if found != wanted:
        raise DataUnusable(f"{path} is another file than declared: its SHA-256 is {found}, not {wanted}")


def labels_in_range(path: Path, labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Labels as integers. Raises DataUnusable where one is no class: the file has another layout."""
    import numpy as np

    worst = int(labels.max())
    if worst >= classes:
        at = int(labels.argmax())
        raise DataUnusable(f"{path}: record {at:,} has the label {worst}, and there are {classes} classes")
    return labels.astype(np.int64)
