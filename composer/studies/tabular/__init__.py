"""Tabular laboratories: what the distributional heads do, exactly, on small Markov chains. numpy and scipy, float64.

Nothing of the agents is imported here; tests/studies/tabular/test_heads.py holds the heads to it.
Pages: docs/laboratory/.
"""
