"""Commands that read a blueprint without running it."""
