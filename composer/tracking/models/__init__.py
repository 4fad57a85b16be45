"""Checkpoints that are worth keeping, as models in MLflow."""
