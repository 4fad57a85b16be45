"""Random streams and their owners: every stream is derived from a seed and the names of what it is for.

Derivation has no state: adding a layer, an environment or an intervention shifts no other stream.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream ``names`` of ``seed``; equal names give equal streams, others independent ones."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
