"""``composer scale``: how a result depends on a size: a power law over seeds, and what it predicts."""
