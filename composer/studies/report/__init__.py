"""The report of a study: what its runs decide, with tables and the figures that fit its axes."""
