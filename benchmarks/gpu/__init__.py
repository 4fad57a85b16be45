"""``make gpu``: everything that needs a GPU, in pieces that continue where they stopped.

``pieces`` says what a piece is, and the rooms beside it hold them: ``equivalence``, ``interventions``, ``resuming``,
``hygiene``, ``speed``, ``seeds``, ``startup``, ``learning``. ``runner`` runs those that are not done, ``tables`` writes
the page, ``__main__`` is the command. Tests: tests/benchmarks/test_gpu.py runs all of it at toy size on a CPU.
"""
