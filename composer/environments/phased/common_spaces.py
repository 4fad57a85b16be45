"""Spaces that all tasks of a run in phases fit into. Tests: tests/environments/test_simulator_phases.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from composer.environments.interface import EnvironmentInfo
from composer.environments.phased.simulator_phase import SimulatorPhase
from composer.spec.quantities import shape_text


def common_info(infos: Sequence[EnvironmentInfo]) -> EnvironmentInfo:
    """The first task's description with the largest sizes, the longest episode and whatever end any task has."""
    first = infos[0]
    largest = max(info.observation[0] for info in infos)
    return replace(
        first,
        observation=(largest, *first.observation[1:]),
        action_size=max(info.action_size for info in infos),
        episode_env_steps=max(info.episode_env_steps for info in infos),
        terminates=any(info.terminates for info in infos),
    )


def space_problems(
    infos: Sequence[EnvironmentInfo], phases: Sequence[SimulatorPhase], pad: bool
) -> Iterator[tuple[str, str]]:
    """Where tasks do not fit each other, and changes of observations that pictures do not allow: key and message."""
    first = infos[0]
    for index, (info, phase) in enumerate(zip(infos, phases, strict=True)):
        key = f"environment.phases[{index}]"
        if words := unlike(first, info, pad):
            yield f"{key}.task", words
        if (phase.permutation or phase.fresh) and info.stacked_frames > 1:
            yield f"{key}.permutation", f"{info.stacked_frames} stacked frames share pictures: their order is fixed"
        if phase.offset and info.pictures:
            yield f"{key}.offset", "pictures are bytes and cannot be shifted; use 'permutation'"


def unlike(first: EnvironmentInfo, info: EnvironmentInfo, pad: bool, place: str = "the first phase") -> str:
    """Why one network cannot act on both tasks; empty where it can. ``first`` is that of ``place``."""
    kinds = [("actions are chosen", "discrete"), ("observations are pictures", "pictures")]
    for words, name in kinds:
        if getattr(first, name) != getattr(info, name):
            return f"{words} in one task and not in the other"
    ours, theirs = shape_text(info.observation), shape_text(first.observation)
    stacked = (first.stacked_frames, info.stacked_frames)
    if first.observation[1:] != info.observation[1:] or len(set(stacked)) > 1:
        return f"observations of {ours} here, and {theirs} in {place}"
    if first.observation != info.observation and (first.stacked_frames or not pad):
        how = "frames are stacked, which cannot be filled up" if first.stacked_frames else "set environment.pad = true"
        return f"observations of {ours} here, and {theirs} in {place}: {how}"
    if first.action_size != info.action_size and not pad:
        return f"{info.action_size} actions here, {first.action_size} in {place}: set environment.pad = true"
    return ""
