"""Data sets from runs: episodes of a run's policy, or its replay, written in Minari's layout or as Parquet."""
