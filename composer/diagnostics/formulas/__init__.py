"""Formulas of the diagnostics: pure functions of tensors, each with its source.

What is read of a run, and when, is decided in ``composer.diagnostics``. Tests: tests/papers/test_measures.py,
tests/papers/test_measures_of_spectra.py.
"""
