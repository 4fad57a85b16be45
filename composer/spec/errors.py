"""The base of every error that a user may expect."""

from __future__ import annotations


class ComposerError(Exception):
    """Ends a command with its message and its exit code, without a traceback."""

    exit_code: int = 1
