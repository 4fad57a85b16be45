"""The journal: an append-only file of rows that survives kill -9; MLflow has a copy of it.

A row is one line: the CRC-32 of the rest in eight hexadecimal digits, a space, compact JSON, a newline.

    5f1c0b9e {"seq":7,"type":"metrics","env_step":2000,"seed":0,"metrics":{"critic/loss":0.25,"return":"nan"}}

JSON has no non-finite numbers. Among the values of ``metrics``, which are no strings otherwise, they are the strings
``"nan"``, ``"inf"`` and ``"-inf"``; elsewhere ``{"$float":"nan"}``. Finite floats are written by ``repr`` and read back
bit for bit, so journals of equal runs have equal bytes. Rows with wall-clock times would break that: they go to a
second journal, ``timing.jsonl``, opened with a ``clock``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self
from zlib import crc32

from composer.spec.errors import ComposerError
from composer.spec.run_files import open_to_read, open_to_write

JournalRow = dict[str, Any]

BUFFER_BYTES: Final = 256 * 1024
NON_FINITE: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
FLOAT_KEY: Final = "$float"


class JournalError(ComposerError):
    """A journal cannot be opened, or is damaged before the checkpoint. The message names the file and the byte."""

    exit_code = 3


class Journal:
    """Appends rows to one file. Rows wait in memory until ``flush``, or until they fill 256 KiB.

    ``path`` must be absent or empty: ``Journal.resume`` continues a file with rows. With a ``clock`` (seconds since the
    epoch) every row has ``time``. One writer at a time: the run directory's lock ensures it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None, *, offset: int = 0, seq: int = 0) -> None:
        self._file = open_to_write(path)
        size = os.fstat(self._file).st_size
        if size != offset:
            os.close(self._file)
            raise JournalError(f"{path}: already holds {size} bytes; resume it, or choose another run directory")
        self.path = path
        self.offset = offset
        """Bytes of whole rows in the file; a checkpoint saves it after ``flush``."""
        self.seq = seq
        """Number of the last row appended; the first is 1."""
        self._clock = clock
        self._buffer = bytearray()

    @classmethod
    def resume(cls, path: Path, offset: int, clock: Callable[[], float] | None = None) -> Self:
        """Continue a journal from a checkpoint's ``offset``; the rest of the file is cut off.

        Raises:
            JournalError: the file is absent or shorter, a row before ``offset`` is damaged, or no row ends there.
        """
        if not path.is_file():
            raise JournalError(f"{path}: no such journal")
        if path.stat().st_size < offset:
            raise JournalError(f"{path}: has {path.stat().st_size} bytes; the checkpoint was taken at byte {offset}")
        reader, seq = Reader(path), 0
        for row in reader.until(offset):
            seq = row["seq"]
        if reader.offset != offset:
            raise JournalError(f"{path}: {reader.problem or f'no row ends at byte {offset}'}")
        cut = open_to_write(path)
        os.ftruncate(cut, offset)
        os.close(cut)
        return cls(path, clock, offset=offset, seq=seq)

    def append(self, row: Mapping[str, Any]) -> int:
        """Add one row without ``seq``, which is assigned here and returned. Nothing is added if it raises.

        Raises:
            TypeError: a value is not JSON, or a key is not a string.
        """
        numbered: JournalRow = {"seq": self.seq + 1, **row}
        if numbered["seq"] != self.seq + 1:
            raise TypeError("the journal numbers its rows: a row cannot have its own 'seq'")
        if self._clock is not None:
            numbered["time"] = self._clock()
        self._buffer += encode(numbered)
        self.seq += 1
        if len(self._buffer) >= BUFFER_BYTES:
            self.flush()
        return self.seq

    def flush(self, *, sync: bool = False) -> int:
        """Write the waiting rows, with ``sync`` also to the device, and return ``offset``.

        Raises:
            OSError: the disk is full or gone. The rows keep waiting, and the next flush overwrites the torn line.
        """
        written = 0
        while written < len(self._buffer):
            # At an explicit offset: a retry after a short write overwrites the torn line.
            written += os.pwrite(self._file, memoryview(self._buffer)[written:], self.offset + written)
        self.offset += written
        self._buffer = bytearray()
        if sync:
            os.fsync(self._file)
        return self.offset

    def close(self) -> None:
        """Write the waiting rows and close the file. A second call does nothing."""
        if self._file >= 0:
            self.flush(sync=True)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Reader:
    """Iterates over the undamaged rows of a journal; iterating again continues with rows added since.

    Iteration ends at the end of the file or at the first torn or damaged line. ``problem`` then says what is wrong and
    where; it is None at a sound end. ``offset`` is the byte after the last good row. A missing file counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.seq = 0
        self.problem: str | None = None

    def __iter__(self) -> Iterator[JournalRow]:
        return self.until(None)

    def until(self, end: int | None) -> Iterator[JournalRow]:
        """Rows that end at byte ``end`` or before; None for all."""
        self.problem = None
        try:
            file = open_to_read(self.path)
        except FileNotFoundError:
            return
        except ValueError as error:
            self.problem = str(error)
            return
        with file:
            file.seek(self.offset)
            for line in file:
                if end is not None and self.offset + len(line) > end:
                    return
                try:
                    row = decode(line)
                    if row["seq"] != self.seq + 1:
                        raise ValueError(f"row {row['seq']} follows row {self.seq}")
                except ValueError as error:
                    self.problem = f"byte {self.offset}: {error}"
                    return
                self.offset += len(line)
                self.seq = row["seq"]
                yield row


def read(path: Path) -> Reader:
    """The rows of a journal; afterwards ``problem`` says why reading stopped early, if it did."""
    return Reader(path)


def encode(row: JournalRow) -> bytes:
    """One line of a journal. Raises TypeError for a value that is not JSON."""
    plain = {key: _metrics_to_json(value) if key == "metrics" else _to_json(value, key) for key, value in row.items()}
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = text.encode("utf-8", "backslashreplace")  # Halves of surrogate pairs become JSON's escapes of them.
    return b"%08x %b\n" % (crc32(body), body)


class _Row(dict[str, Any]):
    """A row that was read; what it lacks is an error in words."""

    def __missing__(self, key: str) -> Any:
        raise JournalError(f"row {self.get('seq')} of a journal has no {key!r}: it was not written by composer")


def decode(line: bytes) -> JournalRow:
    """The row of one line. Raises ValueError for a line that is torn or damaged, or has values of other types."""
    if not line.endswith(b"\n"):
        raise ValueError("the last line is torn")
    checksum, _, body = line[:-1].partition(b" ")
    if checksum != b"%08x" % crc32(body):
        raise ValueError("the line's checksum does not fit")
    try:
        row = json.loads(body)
        if not isinstance(row, dict) or not all(right(row.get(key)) for key, right in _TYPES.items()):
            raise ValueError("the line is no row")
        return _Row(
            {key: _metrics_from_json(value) if key == "metrics" else _from_json(value) for key, value in row.items()}
        )
    except (RecursionError, OverflowError, AttributeError, KeyError, TypeError):
        raise ValueError("the line is no row") from None


def _metrics_to_json(metrics: Mapping[str, float]) -> dict[str, float | str]:
    plain: dict[str, float | str] = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"metric {name!r}: expected a number, got {type(value).__name__}")
        plain[name] = value if math.isfinite(value) else str(float(value))
    return plain


def _metrics_from_json(metrics: Mapping[str, float | str]) -> dict[str, float]:
    found = {name: NON_FINITE[value] if isinstance(value, str) else value for name, value in metrics.items()}
    for value in found.values():
        float(value)  # Not a list, nor an integer beyond all floats.
    return found


def _is_count(value: object) -> bool:
    """Whether it is a number that fits where steps and seeds are kept, or absent."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63)


_TYPES: Final[dict[str, Callable[[object], bool]]] = {
    "seq": lambda value: value is not None and _is_count(value),
    "type": lambda value: value is None or isinstance(value, str),
    "name": lambda value: value is None or isinstance(value, str),
    "env_step": _is_count,
    "seed": _is_count,
    "time": lambda value: value is None or (isinstance(value, int | float) and math.isfinite(value)),
}
"""Whether the value of a key is of its type."""


def _to_json(value: object, path: str) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT_KEY: str(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_to_json(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"{path}: keys must be strings")
        if FLOAT_KEY in value:
            raise TypeError(f"{path}: the key {FLOAT_KEY} is reserved")
        return {key: _to_json(item, f"{path}.{key}") for key, item in value.items()}
    raise TypeError(f"{path}: a journal holds numbers, strings, lists and tables, not {type(value).__name__}")


def _from_json(value: object) -> object:
    if isinstance(value, dict):
        if value.keys() == {FLOAT_KEY}:
            return NON_FINITE[value[FLOAT_KEY]]
        return {key: _from_json(item) for key, item in value.items()}
    return [_from_json(item) for item in value] if isinstance(value, list) else value
