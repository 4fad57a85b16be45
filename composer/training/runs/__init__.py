"""Run directories: facts, checkpoints, provenance, results."""
