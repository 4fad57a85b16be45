"""Measurements for developers: speed beside other libraries, and what a GPU is needed for."""
