"""Changes of observed pictures that have nothing to do with the task: other backgrounds, other colours."""

from composer.environments.distractions.background import Background
from composer.environments.distractions.base import Distraction
from composer.environments.distractions.colors import Colors

__all__ = ["Background", "Colors", "Distraction"]
