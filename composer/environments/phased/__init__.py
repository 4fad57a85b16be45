"""Simulators in phases: one task after another, on one clock."""
