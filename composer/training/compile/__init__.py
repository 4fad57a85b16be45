"""Compiled updates: torch.compile, CUDA graphs, the cache, oneDNN products."""
