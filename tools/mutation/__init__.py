"""Mutation testing of the modules on which results rest. ``python -m tools.mutation --help``."""
