"""Whole numbers as TOML writes them."""

from __future__ import annotations

INTEGERS = range(-(2**63), 2**63)
"""The integers that TOML has."""


INTEGER_RULE = "must be in -2^63 to 2^63-1"
