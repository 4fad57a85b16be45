"""Seeds as they are written on a command line. Tests: tests/spec/test_seeds.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from composer.spec.errors import ComposerError

MOST: Final = 64
"""Seeds of one run at the most."""
LARGEST: Final = 2**63 - 1
_PART: Final = re.compile(r"\s*(\d{1,40})\s*(?:-\s*(\d{1,40})\s*)?")


class SeedsError(ComposerError, ValueError):
    """A text that names no seeds; the message says how they are written."""

    exit_code = 2


def seeds_in(text: str) -> list[int]:
    """``0-3`` and ``0,2,5-7``: numbers, and ranges that include both ends. Raises SeedsError."""
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise SeedsError(f"seeds {text!r}: {part.strip()!r} is no number or range; write 0-3 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) > LARGEST:
            raise SeedsError(f"seeds {text!r}: {max(first, last)} is above the largest seed, 2^63-1")
        if last < first:
            raise SeedsError(f"seeds {text!r}: the range {part.strip()} is empty; write {last}-{first}")
        if len(found) + last - first >= MOST:
            raise SeedsError(f"seeds {text!r}: more than {MOST} seeds")
        found += range(first, last + 1)
    if doubled := sorted({seed for seed in found if found.count(seed) > 1}):
        raise SeedsError(f"seeds {text!r}: {', '.join(map(str, doubled))} named twice")
    return found


def seeds_text(seeds: Sequence[int]) -> str:
    """The shortest text that ``seeds_in`` reads as these: ``0-3,7``."""
    return ",".join(_parts(seeds))


def _parts(seeds: Sequence[int]) -> Iterator[str]:
    start = 0
    for end in range(1, len(seeds) + 1):
        if end == len(seeds) or seeds[end] != seeds[end - 1] + 1:
            few = [str(seed) for seed in seeds[start:end]]
            yield ",".join(few) if len(few) < 3 else f"{few[0]}-{few[-1]}"
            start = end
