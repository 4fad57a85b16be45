"""Training performs what a blueprint declares."""
