"""The figures of studies: one file a kind, and what all of them share in ``sheet``."""
