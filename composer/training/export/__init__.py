"""The evaluated policy of a run as one file that speaks the environment's own units (docs/guide/export.md)."""
