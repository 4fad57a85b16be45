"""Rewards from vision-language models on a task that needs no download: ``python -m benchmarks.vlm``."""
