"""``composer compare``: finished runs, over seeds."""
