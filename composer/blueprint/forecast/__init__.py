"""Forecasts of a run: clock, firings, timeline, memory, operations, compiled program."""
