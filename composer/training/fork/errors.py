"""Why a run cannot be forked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.spec.errors import ComposerError

if TYPE_CHECKING:
    pass


class NotForkable(ComposerError, RuntimeError):
    """A fork is refused; the message says which keys, or which checkpoint, and why."""

    exit_code = 2
