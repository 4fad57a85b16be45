"""Speed of this project against other libraries and the floor of its arithmetic, measured in one run.

``workloads`` declares what is measured and ``candidate`` the implementations; ``ours``, ``peers`` and ``products`` run
them in ``worker`` processes. ``prepare`` compiles beforehand, ``race`` takes turns, ``starts`` times starts,
``neighbour`` a machine that others use; ``report`` computes the table, ``text`` and ``plot`` show it, ``command``
combines them.
Tests: tests/benchmarks/test_speed.py, tests/benchmarks/test_speed_candidates.py.
"""
