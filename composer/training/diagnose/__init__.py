"""Measures of networks, taken during training."""
