"""What training costs as its parts grow: ``python -m benchmarks.growth``. Page: docs/benchmarks/growth.md."""
