"""What of a checkpoint a fork continues. ``composer.training.assemble.fork`` begins one."""

from composer.spec.errors import ComposerError


class NotForkable(ComposerError, RuntimeError):
    """A fork is refused; the message names the keys, or the checkpoint, and the reason."""

    exit_code = 2
