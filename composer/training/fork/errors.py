"""Why a run cannot be forked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class NotForkable(RuntimeError):
    """A fork is refused; the message says which keys, or which checkpoint, and why."""
