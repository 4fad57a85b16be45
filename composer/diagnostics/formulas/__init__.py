"""Formulas of the diagnostics: pure functions of tensors, each with its source.

Tests: tests/papers/test_measures.py, tests/papers/test_measures_of_spectra.py.
"""
