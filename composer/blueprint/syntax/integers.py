"""The integers of TOML: 64 bits, signed."""

from __future__ import annotations

INTEGERS = range(-(2**63), 2**63)
"""All of them."""
INTEGER_RULE = "must be in -2^63 to 2^63-1"
