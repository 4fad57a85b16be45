"""Studies: questions about finished runs, blueprints and this machine. Each study has a room or a file of its own."""

from composer.spec.errors import ComposerError


class Refused(ComposerError, ValueError):
    """A study cannot answer from what it was given, or cannot write where it was asked to."""

    exit_code = 2
