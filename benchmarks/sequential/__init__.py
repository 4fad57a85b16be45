"""Levels, power and seeds of the sequential test in simulated studies."""
