"""What goes wrong in surgery."""

from __future__ import annotations


class SurgeryError(AssertionError):
    """An intervention did not do what it declares: a bug of its operation. Nothing of it is saved."""
