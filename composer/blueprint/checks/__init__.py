"""Checks of form and of meaning, and their messages."""
