"""``composer correlate``: which metrics of runs rise and fall together."""
