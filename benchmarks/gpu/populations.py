"""Several variants, and several updates, in one program. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.gpu.agents import MLP, SIMBA, Case, agent, distance, given, weights
from benchmarks.gpu.equivalence import LIMIT
from benchmarks.gpu.laps import by_count
from benchmarks.gpu.pieces import Check, Findings, Piece
from benchmarks.gpu.setting import EAGER, Setting
from composer.blueprint.forecast.one_program import joined
from composer.replay.transitions import Minibatch
from composer.training.population.stack import Stack

NUMBERS: Final = ("optimizers.critic.learning_rate=1e-3", "averages.target_critic.momentum=0.9")
"""Overrides of the second variant."""


def populations(setting: Setting) -> Findings:
    """Two variants of two seeds in one captured program against each variant eager and alone."""
    findings = Findings()
    for case in (MLP, SIMBA):
        with findings.attempt(case.name):
            blueprints = [case.load(setting), case.load(setting, 2, *NUMBERS)]
            alone, beside = ([agent(each, setting.device, EAGER) for each in blueprints] for _ in range(2))
            starts = [weights(one) for one in alone]
            whole = agent(joined(blueprints), setting.device, setting.captured())
            stack = Stack(whole.learner, [2, 2], [one.learner for one in beside])
            batches = [given(one, setting.sized(10, 2), number) for number, one in enumerate(alone)]
            for together in zip(*batches, strict=True):
                stack.learn({n: [Minibatch(each.transitions, each.extra)] for n, each in enumerate(together)})
                for one, batch in zip(alone, together, strict=True):
                    one.learner.update(batch.transitions, batch.extra)
            apart = max(
                distance(start, weights(ours), weights(theirs))
                for start, ours, theirs in zip(starts, beside, alone, strict=True)
            )
            findings.checks.append(Check(case.name, apart, LIMIT))
            findings.rows.append({"agent": case.name, "updates": len(batches[0]), "difference": apart})
    return findings


def calls(case: Case, setting: Setting) -> Findings:
    """Updates per second with several updates in one call of the program."""
    made: dict[int, Callable[[], object]] = {}
    for count in setting.sized((1, 2, 4, 8), (1, 2)):
        one = agent(case.load(setting, 1, f"compute.updates_per_call={count}"), setting.device, setting.captured())
        (batch,) = given(one, 1)
        asked = [Minibatch(batch.transitions, batch.extra)] * count
        made[count] = partial(one.learner.learn, asked)
    return Findings(rows=by_count(made, setting, "updates a call", "updates/s", "times one a call"))


PIECES: Final = (
    Piece("populations", "Variants in one captured program against the same eager and alone.", populations),
    Piece("calls-mlp", "SAC, MLP 2 x 256: updates per second by number of updates in one call.", partial(calls, MLP)),
    Piece("calls-simba", "SAC, SimBa: updates per second by number of updates in one call.", partial(calls, SIMBA)),
)
