"""Studies: questions about finished runs, blueprints and this machine. Each study has a room or a file of its own."""


class Refused(ValueError):
    """A study cannot answer from what it was given, or cannot write where it was asked to: exit code 2."""
