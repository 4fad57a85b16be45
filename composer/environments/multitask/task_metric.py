"""The name of the return of one of several tasks. Tests: tests/environments/test_multitask.py."""

from __future__ import annotations


def task_metric(index: int) -> str:
    """The evaluation metric of a task, by its index in ``tasks``."""
    return f"evaluation/return_of_task_{index + 1}"
