"""Why a study is refused."""


class Refused(ValueError):
    """The question cannot be answered from these runs, or not be written where it was asked for: exit code 2."""
