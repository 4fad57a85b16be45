"""Tabular experiments: distributional learning rules on small Markov chains whose exact values are known.

No agent is imported; tests/studies/tabular/test_heads.py compares the heads with them. Pages: docs/tabular/.
"""
