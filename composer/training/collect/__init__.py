"""Collectors: where updates get their data. Acting in environments, or reading from a data set."""
