"""The environments that this project's environments wrap. Tests: tests/benchmarks/test_speed_candidates.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.speed.ours.environments import StepSubject, chosen, drawn
from composer.environments.suites.atari import Atari
from composer.environments.suites.dm_control import DmControl
from composer.environments.suites.dm_control_single import load_suite

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.environments import Control, Frames


def control(workload: Control, candidate: Candidate) -> StepSubject:
    """dm_control's own ``step``, which resets in the step after an episode's end."""
    domain, task = workload.task.split("-")
    environment: Any = load_suite().load(domain, task)
    environment.reset()
    actions = drawn(DmControl(task=workload.task).info.action_size)
    return StepSubject(environment.step, actions, 1)


def games(workload: Frames, candidate: Candidate) -> StepSubject:
    """ALE's vector under the settings of machado2018, one thread."""
    from ale_py.vector_env import AtariVectorEnv

    declared = Atari(game=workload.game)
    environment: Any = AtariVectorEnv(
        workload.game,
        workload.copies,
        num_threads=1,
        repeat_action_probability=declared.sticky_actions,
        full_action_space=declared.full_actions,
        noop_max=1,
        use_fire_reset=False,
        max_num_frames_per_episode=declared.frame_limit,
    )
    environment.reset(seed=0)
    return StepSubject(environment.step, chosen(workload.copies, declared.info.action_size), workload.copies)
