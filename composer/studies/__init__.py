"""Studies: questions about finished runs, blueprints and this machine. Each study has a room or a file of its own."""

from composer.spec.errors import ComposerError


class Refused(ComposerError, ValueError):
    """A study cannot answer from its inputs, or cannot write its output file."""

    exit_code = 2
