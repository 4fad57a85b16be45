"""Compiled updates: ``torch.compile``, CUDA graphs, the cache of compiled code, products by oneDNN."""
