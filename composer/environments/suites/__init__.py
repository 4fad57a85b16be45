"""Environments by suite: dm_control, Gymnasium, Atari, MinAtar."""
