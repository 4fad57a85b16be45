"""Normalisations of observations against torch and numpy, in an update, in acting, in export, on resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import DRIFT, begin, finished, learner, result, resumed, stopped, transitions
from torch import Tensor, nn

from composer.algorithms.normalization.batch_moments import BatchMoments
from composer.algorithms.normalization.observations import BatchNorm, BatchRenorm, LayerNorm, ObservationNorm, Symlog
from composer.blueprint import BlueprintError, load
from composer.networks.modules.batch_renorm import BatchRenorm as Module
from composer.spec.package_files import blueprint_files
from composer.training.learner import Learner

KINDS = [kind for name, kind in ObservationNorm.kinds().items() if name != "raw"]
WIDTH, ROWS = 5, 32
FILES = {f"{path.parent.name}/{path.stem}": path for path in blueprint_files()}


def minibatch(number: int, seeds: int = 1) -> tuple[Tensor, Tensor]:
    """Float32 observations and next ones ``[S, B, d]`` of far offsets and scales, others for each number."""
    draws = np.random.default_rng(number).normal(size=(2, seeds, ROWS, WIDTH)) * np.logspace(-2, 2, WIDTH) + 3 * number
    observation, following = torch.from_numpy(draws.astype(np.float32)).unbind(0)
    return observation, following


def test_batch_norm_is_torchs_over_both_halves_of_the_minibatch() -> None:
    ours: Any = BatchNorm(epsilon=1e-5, momentum=0.9).build(1, WIDTH, "cpu")
    theirs = nn.BatchNorm1d(WIDTH, eps=1e-5, momentum=0.1, affine=False).double()
    followed = torch.ones(WIDTH, dtype=torch.float64)
    for number in range(4):
        both = minibatch(number)
        rows = torch.cat([each[0] for each in both]).double()
        see = ours.of_minibatch(*both)
        expected = theirs(rows)
        torch.testing.assert_close(torch.cat([see(each)[0] for each in both]), expected.float(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(ours.mean[0], theirs.running_mean, rtol=1e-12, atol=1e-12)
        followed = 0.9 * followed + 0.1 * rows.var(0, correction=0)  # torch's own is with Bessel's correction
        torch.testing.assert_close(ours.variance[0], followed, rtol=1e-12, atol=0)
    theirs.running_var = followed
    observation, _ = minibatch(9)
    torch.testing.assert_close(ours.normalise(observation)[0], theirs.eval()(observation[0].double()).float())


def test_batch_renorm_is_the_blocks_and_agrees_with_acting_where_nothing_is_bounded() -> None:
    ours: Any = BatchRenorm(r_max=1.5, d_max=0.5, warm_up=2, momentum=0.5).build(1, WIDTH, "cpu")
    block = Module(WIDTH, epsilon=1e-3, momentum=0.5, affine=False, r_max=1.5, d_max=0.5, warm_up=2).double()
    for number in range(5):
        both = minibatch(number)
        see, expected = ours.of_minibatch(*both), block(torch.cat([each[0] for each in both]).double())
        torch.testing.assert_close(torch.cat([see(each)[0] for each in both]), expected.float())
    assert ours.steps.item() == block.steps.item() == 5
    torch.testing.assert_close(ours.mean[0], block.running_mean)
    free = BatchRenorm(r_max=1e6, d_max=1e6, warm_up=0).build(1, WIDTH, "cpu")
    observation, following = minibatch(1)
    acting = free.normalise(observation)
    torch.testing.assert_close(free.of_minibatch(observation, following)(observation), acting)
    assert not torch.allclose(free.normalise(observation), acting)


def test_layer_norm_and_symlog_by_hand() -> None:
    observation = minibatch(2)[0].view(1, ROWS, 1, WIDTH)  # the shape of an observation is kept
    exact = observation.double().numpy()
    centred = exact - exact.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    got = LayerNorm().build(1, WIDTH, "cpu").normalise(observation)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)
    got = Symlog().build(1, WIDTH, "cpu").normalise(observation)
    np.testing.assert_allclose(got.numpy(), np.sign(exact) * np.log(1 + np.abs(exact)), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_keeps_seeds_apart_and_its_addresses(kind: type[ObservationNorm]) -> None:
    """In updates and in acting; the map of one seed, which is exported, is that of its row."""
    declared = kind(**{key: value for key, value in kind.example.items() if key != "kind"})
    together, alone = declared.build(3, WIDTH, "cpu"), [declared.build(1, WIDTH, "cpu") for _ in range(3)]
    assert together is not None
    before = {name: value.data_ptr() for name, value in together.tensors().items()}
    for number in range(3):
        both = minibatch(number, seeds=3)
        together.observe(both[0])
        see = together.of_minibatch(*both)
        for seed, own in enumerate(alone):
            assert own is not None
            mine = [each[seed : seed + 1] for each in both]
            own.observe(mine[0])
            assert torch.equal(own.of_minibatch(*mine)(mine[1]), see(both[1])[seed : seed + 1])
    observation = minibatch(7, seeds=3)[0]
    for seed in range(3):
        module = together.of_seed(slice(seed, seed + 1))
        assert torch.equal(module(observation[seed]), together.normalise(observation)[seed])
    assert {name: value.data_ptr() for name, value in together.tensors().items()} == before


def agent(kind: str, *overrides: str) -> Learner:
    return learner(f'normalization.observation={{kind="{kind}"}}', *overrides)


@pytest.mark.parametrize("kind", ["batch_norm", "symlog"])
def test_an_update_normalises_observations_and_never_actions(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = agent(kind)
    data = transitions(one)
    seen: list[Any] = []
    monkeypatch.setattr(one._gradient_step, "step", lambda objective, batch, *rest: seen.append(batch))
    monkeypatch.setattr(one.program, "finish_update", lambda *rest: None)
    monkeypatch.setattr(one._signals, "add", lambda signals: None)
    one.compute_update(*data, *(torch.zeros(0) for _ in one.program.noise))
    batch = seen[0]
    both = torch.cat([data.observation, data.next_observation], 1)
    expected = both.sign() * both.abs().log1p()
    if kind == "batch_norm":
        variance, mean = torch.var_mean(both.double(), 1, correction=0, keepdim=True)
        expected = ((both - mean) / (variance + 1e-5).sqrt()).float()
    torch.testing.assert_close(torch.cat([batch.observation, batch.next_observation], 1), expected)
    assert torch.equal(batch.action, data.action)


def test_only_updates_move_the_statistics_of_minibatches() -> None:
    """Not acting, not what diagnostics read, not the agent that rests beside the one that acts."""
    one = agent("batch_norm", "seeds=[0, 1]")
    assert isinstance(one.statistics, BatchMoments)
    data, mean = transitions(one), one.statistics.mean
    one.observe(data.observation)
    one.act(data.observation)
    one.batch(data)
    assert not mean.any()
    one.moves_statistics = False
    one.update(data)
    assert not mean.any()
    one.moves_statistics, one.active = True, torch.tensor([True, False])
    one.update(data)
    both = torch.cat([data.observation, data.next_observation], 1).double()
    torch.testing.assert_close(mean[0], 0.1 * both.mean(1)[0])
    assert not mean[1].any()


@pytest.mark.slow
def test_a_traced_update_moves_them_as_an_eager_one() -> None:
    """Through torch's own graph, which is what could lose a change in place. Slow: torch traces for two seconds."""
    eager, traced = (BatchRenorm(warm_up=1).build(1, WIDTH, "cpu") for _ in range(2))

    def see(observation: Tensor, following: Tensor) -> Tensor:
        return traced.of_minibatch(observation, following)(observation)

    compiled = torch.compile(see, backend="aot_eager", fullgraph=True)
    for number in range(3):
        both = minibatch(number)
        torch.testing.assert_close(compiled(*both), eager.of_minibatch(*both)(both[0]))
    for name, value in eager.tensors().items():
        torch.testing.assert_close(value, traced.tensors()[name], rtol=1e-12, atol=0)


def test_a_stopped_run_resumes_exactly(tmp_path: Path) -> None:
    """Updates, evaluations and checkpoints under batch renorm, with a correction that begins after the stop."""
    norm = 'normalization.observation={kind="batch_renorm", warm_up=40}'
    short = (DRIFT, norm, "training.env_steps=120", "checkpoint.every=50", "evaluation.every=60")
    whole, session = finished(tmp_path / "whole", *short)
    assert session.learner.tensors()["normalization/observation/steps"].item() == 70
    cut = resumed(stopped(*begin(tmp_path / "cut", *short), at=70))
    assert result(cut) == result(whole)


def test_algorithms_on_rollouts_and_single_samples_refuse_minibatch_statistics() -> None:
    norm = 'normalization.observation={kind="batch_norm"}'
    with pytest.raises(BlueprintError, match="PPO learns from observations as its policy saw them"):
        load(FILES["classic/cartpole_ppo"], [norm])
    with pytest.raises(BlueprintError, match="one sample has no variance"):
        load(FILES["warm_start/digits"], [norm, "algorithm.batch_size=1"])
    load(FILES["warm_start/digits"], [norm])
