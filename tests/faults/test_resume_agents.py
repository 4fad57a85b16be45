"""Stacked seeds and exact resumption of the newer agents: statistics, delays, tasks and latents among the state.

TD-MPC2, METRA and MR.Q have theirs in tests/papers/.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_agents import blueprint_of
from tiny_runs import go_on, result, resumed, stopped

from composer.blueprint import Blueprint
from composer.training import assemble
from composer.training.session import Session

AT = {"brc": 90, "dreamer": 50}
"""The environment step after which a run is stopped, with updates before and after it; 43 for the others."""


def short(name: str, *overrides: str) -> Blueprint:
    return blueprint_of(name, "seeds=[0, 5]", *overrides)


def whole(folder: Path, blueprint: Blueprint) -> tuple[tuple[str, bytes], Session]:
    run, session = assemble.start(blueprint, folder, None)
    go_on(session)
    run.close()
    return result(run.path), session


@pytest.mark.parametrize("name", ["flash_sac", "crossq_wn", "brc", "simba_v2", "multi_skip", "dreamer"])
def test_a_run_resumes_to_the_bit_and_seeds_keep_to_themselves(name: str, tmp_path: Path) -> None:
    expected, both = whole(tmp_path / "whole", short(name))
    halted = stopped(*assemble.start(short(name), tmp_path / "halted", None), at=AT.get(name, 43))
    assert result(resumed(halted)) == expected
    _, alone = whole(tmp_path / "alone", short(name, "seeds=[5]"))
    assert alone.clock.updates == both.clock.updates > 10
    for key, value in alone.learner.tensors().items():
        if key != "signals":
            torch.testing.assert_close(both.learner.tensors()[key][1:], value, rtol=5e-3, atol=5e-4, msg=key)
