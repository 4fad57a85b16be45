"""The reference documentation in ``docs/reference/``, generated from the kinds by ``make docs``.

    python -m tools.reference --out docs/reference [--plugin NAME ...]

It reads specs, parts and outlines, and imports no torch. Tests: tests/docs/test_reference.py.
"""

from tools.reference.pages import pages

__all__ = ["pages"]
