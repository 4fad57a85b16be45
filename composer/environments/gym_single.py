"""The former place of the layouts of Gymnasium's spaces, by which reports of users import them."""

from composer.environments.suites.gymnasium_spaces import action_layout, observation_layout

__all__ = ["action_layout", "observation_layout"]
