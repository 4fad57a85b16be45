"""Learner updates per second: eager, compiled and as CUDA graphs, against floor, roofline and another library.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.gpu.agents import MLP, NATURE, SIMBA, SIMBA_V2, Agent, Case, agent, given
from benchmarks.gpu.ceilings import Roof, floor, moved, roof
from benchmarks.gpu.laps import Candidate, Rate, race
from benchmarks.gpu.pieces import Findings, Piece, Row
from benchmarks.gpu.setting import EAGER, Setting
from composer.training.compile.capture import Choice


def modes(setting: Setting) -> dict[str, Choice]:
    """Ways to compute an update on this device, by name."""
    found = {"eager": EAGER}
    if setting.compiles:
        found["compiled"] = Choice(True, "the suite compares them", graphed=False)
    if setting.compiles and setting.on_gpu:
        found["CUDA graph"] = setting.captured()
    return found


def updating(one: Agent) -> Callable[[], object]:
    """One update, with its noise, on a batch that is on the device."""
    (batch,) = given(one, 1)
    return partial(one.learner.update, batch.transitions, batch.extra)


def speed(case: Case, setting: Setting, peer: bool = False) -> Findings:
    """One agent of one seed, in every mode."""
    findings = Findings()
    agents = {name: agent(case.load(setting, 1), setting.device, choice) for name, choice in modes(setting).items()}
    ground = floor(agents["eager"], setting)
    candidates = [Candidate(name, updating(one)) for name, one in agents.items()]
    candidates.append(Candidate("products alone", ground.call))
    if peer:
        candidates += _peers(case, setting, findings)
    if not setting.on_gpu:
        findings.notes.append("a CPU has no CUDA graphs")
    laps, limit = race(candidates, setting), roof(setting)
    eager = agents["eager"]
    roofline = limit.seconds(ground.flops, moved(eager))
    findings.rows = [_row(name, rate, laps, ground.flops, roofline) for name, rate in laps.items()]
    findings.notes.append(_said(limit, ground.flops, moved(eager)))
    return findings


def _row(name: str, rate: Rate, laps: dict[str, Rate], flops: int, roofline: float) -> Row:
    ours = name != "products alone"
    return {
        "candidate": name,
        **rate.times(1, "updates/s"),
        "TFLOP/s": rate.median * flops / 1e12,
        "times eager": rate.median / laps["eager"].median if ours else None,
        "of the floor": rate.median / laps["products alone"].median if ours else None,
        "of the roofline": rate.median * roofline,
    }


def _said(limit: Roof, flops: int, data: int) -> str:
    return (
        f"an update is {flops / 1e9:.4g} GFLOP of products and moves at least {data / 2**20:.4g} MiB (state and "
        f"gradients, read and written once); measured here: {limit.flops / 1e12:.4g} TFLOP/s of a large product in "
        f"float32, {limit.bandwidth / 1e9:.4g} GB/s of a large copy; the floor is the products alone, the roofline the "
        "larger one of both times"
    )


def _peers(case: Case, setting: Setting, findings: Findings) -> list[Candidate]:
    from benchmarks.gpu.peers import missing, stable_baselines

    if (lacking := missing()) is not None:
        findings.notes.append(f"stable-baselines3: skipped: {lacking}")
        return []
    findings.notes.append(
        "stable-baselines3's update includes the sampling of its replay buffer, which lies on the host"
    )
    return [Candidate("stable-baselines3", stable_baselines(case.load(setting, 1), setting))]


PIECES: Final = (
    Piece(
        "speed-mlp", "SAC, MLP 2 x 256, two critics: updates per second of one agent.", partial(speed, MLP, peer=True)
    ),
    Piece("speed-simba", "SAC, SimBa, critic 512/2: updates per second of one agent.", partial(speed, SIMBA)),
    Piece("speed-simba-v2", "SAC, SimbaV2, critic 512/2: updates per second of one agent.", partial(speed, SIMBA_V2)),
    Piece("speed-dqn", "DQN, Nature's network, batch 32: updates per second of one agent.", partial(speed, NATURE)),
)
