"""Compiled updates: ``torch.compile``, CUDA graphs, the cache of compiled code, matrix products by oneDNN."""
