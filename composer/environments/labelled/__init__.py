"""Labelled data as environments: sequences of tasks and phases."""
