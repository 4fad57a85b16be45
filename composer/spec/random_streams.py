"""Named random streams: each is derived from a seed and the names of its use.

Derivation has no state, so that adding a layer, an environment or an intervention changes no other stream.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream ``names`` of ``seed``: equal names, equal streams; other names, independent ones."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
