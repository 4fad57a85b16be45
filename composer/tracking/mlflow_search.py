"""Conditions of MLflow's searches. Tests: tests/tracking/test_mlflow_store.py."""

from __future__ import annotations


def condition(tag: str, comparison: str, value: str) -> str:
    """A condition on a tag. MLflow has no escape: a value with both quotes is compared up to the second."""
    mark = '"' if "'" in value else "'"
    if mark in value:
        value, comparison = value.partition(mark)[0] + "%", {"=": "LIKE", "!=": "NOT LIKE"}[comparison]
    return f"tags.`{tag}` {comparison} {mark}{value}{mark}"
