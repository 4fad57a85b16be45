"""Several runs that differ in numbers alone, trained in one program. Tests: tests/training/test_population.py."""
