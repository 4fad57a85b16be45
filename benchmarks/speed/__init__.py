"""Speed of this project beside other libraries and beside the floor of the arithmetic, measured in one run.

``workloads`` says what is measured and ``party`` who takes part; ``ours``, ``peers`` and ``products`` are the parties
as they run inside ``worker`` processes. ``prepare`` compiles beforehand, ``race`` takes turns, ``starts`` times starts;
``report`` does the arithmetic, ``text`` and ``plot`` show it, ``command`` ties all of it together.
Tests: tests/benchmarks/test_speed.py, tests/benchmarks/test_speed_parties.py.
"""
