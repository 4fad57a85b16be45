"""Replay: transitions of an agent, stored and sampled."""
