"""Comparing finished runs over seeds."""
