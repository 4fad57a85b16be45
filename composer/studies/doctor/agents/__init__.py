"""``composer doctor`` on agents that other libraries saved: weights, observations, and the same verdicts.

Nothing is unpickled: weights are read by ``torch.load(weights_only=True)``, hyperparameters from JSON.
Tests: tests/studies/doctor/.
"""
