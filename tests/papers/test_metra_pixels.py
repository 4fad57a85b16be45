"""METRA from pictures: an update written out again in float64, and the skill's way through pictures and replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from metra_reference import ACTIONS, BATCH, SKILL, Plain, blueprint_of, linear, mlp, noise
from tiny_runs import EAGER, go_on, result, resumed, stopped
from torch import Tensor
from torch.nn.functional import conv2d, elu

from composer.algorithms.losses.skilled import split
from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.syntax.extends import shipped
from composer.environments import Point
from composer.replay.frames import FrameRing
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.learner import Learner

SIDE, FRAMES = 8, 2
ENCODER = "{ use = 'metra_convolutions', width = 4, more = 0 }"
BESIDE = f"use = 'beside_picture', channels = {FRAMES}, height = {SIDE}, width = {SIDE}, encoder = {ENCODER}"
HIDDEN = "{ use = 'mlp', width = 8, depth = 1 }"
PIXELS = (
    "environment={ kind = 'point', copies = 2, episode_env_steps = 10, observe = 'pixels', side = 8, reach = 4.0,"
    " skills = { size = 2, limit = 'terminates' }, coverage = { coordinates = [0, 1], cell = 0.5 } }",
    f"networks.representation.trunk=[{ENCODER}, {HIDDEN}, {{ kind = 'linear', width = 2 }}]",
    f"networks.actor.trunk=[{{ {BESIDE}, numbers = 2 }}, {HIDDEN}]",
    f"networks.critic.trunk=[{{ {BESIDE}, numbers = 4 }}, {HIDDEN}]",
)


def pixels(*overrides: str) -> Blueprint:
    return blueprint_of(*PIXELS, *overrides)


def skilled(pictures: Tensor, skill: Tensor) -> Tensor:
    """Bytes ``[1, N, F (c + 1), h, w]``: pictures ``[N, F, h, w]`` and the bytes of skills, put together by hand."""
    plane = torch.zeros(len(skill), SIDE * SIDE, dtype=torch.uint8)
    plane[:, : 4 * SKILL] = skill.contiguous().view(torch.uint8)
    planes = plane.view(-1, 1, SIDE, SIDE).expand(-1, FRAMES, -1, -1)
    return torch.stack([pictures, planes], 2).flatten(1, 2)[None]


def batch(seed: int) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    skill = torch.randn(BATCH, SKILL, generator=generator)
    now, following = (
        skilled(torch.randint(256, (BATCH, FRAMES, SIDE, SIDE), generator=generator).byte(), skill) for _ in range(2)
    )
    draws = torch.randn(1, BATCH, ACTIONS + 1, generator=generator)
    bootstrap = torch.full((1, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    return Transitions(now, draws[..., :ACTIONS].tanh(), draws[..., -1], bootstrap, following)


class PlainPixels(Plain):
    """The same agent over rows ``[pictures, skill]``, whose networks begin with a convolution of the pictures."""

    def rows(self, observation: Tensor) -> Tensor:
        frames = observation.unflatten(1, (FRAMES, 2))
        skill = frames[:, 0, 1].flatten(1)[:, : 4 * SKILL].contiguous().view(torch.float32)
        return torch.cat([frames[:, :, 0].flatten(1), skill], 1).double()

    def features(self, w: dict[str, Tensor], path: str, s: Tensor) -> Tensor:
        size = FRAMES * SIDE * SIDE
        pictures = s[:, :size].unflatten(1, (FRAMES, SIDE, SIDE)) / 255
        found = elu(conv2d(pictures, w[f"{path}.weight"], w[f"{path}.bias"], stride=2))
        return torch.cat([found.flatten(1), s[:, size:]], 1)

    def phi(self, s: Tensor) -> Tensor:
        w = self.held["representation"][0]
        return linear(w, "trunk.2", mlp(w, "trunk.1.0.0", self.features(w, "trunk.0.1", s[:, :-SKILL])))

    def trunk(self, w: dict[str, Tensor], x: Tensor) -> Tensor:
        return mlp(w, "trunk.1.0.0", self.features(w, "trunk.0.block.1.1", x))


def test_an_update_from_pictures_is_that_of_the_released_code() -> None:
    agent = Learner(pixels().agent, "cpu", EAGER)
    plain = PlainPixels(agent)
    for step in range(2):
        data, draws = batch(step), noise(agent, step)
        agent.learn_with_noise([draws], [Minibatch(data)])
        plain.update(data, draws)
    plain.equals(agent)


def test_a_skill_goes_through_pictures_and_replay_to_the_bit() -> None:
    """Episodes of three decisions: pictures are those of the point alone, and skills are drawn as beside vectors."""
    table = {"episode_env_steps": 3, "observe": "pixels", "side": SIDE}
    environment = Point.model_validate({**table, "skills": {"size": 3}})
    made, bare = environment.make([3, 8], "training"), Point.model_validate(table).make([3, 8], "training")
    vectors = Point.model_validate({"episode_env_steps": 3, "skills": {"size": 3}}).make([3, 8], "training")
    ring = FrameRing(1, 2, 40, environment.info.observation, FRAMES, 2)
    seen, plain, vector = made.reset().copy(), bare.reset(), vectors.reset()
    draw, kept = np.random.default_rng(0), []
    for _ in range(8):
        parts = split(torch.from_numpy(seen)[None].float(), 3, FRAMES)
        np.testing.assert_array_equal(parts.seen[0].numpy(), plain)
        np.testing.assert_array_equal(parts.skill[0].numpy(), vector[:, 4:])
        action = draw.uniform(-1, 1, (2, 2)).astype(np.float32)
        step, other = made.step(action), bare.step(action)
        told = (seen, action, step.reward, step.terminated, step.truncated, step.final_observation)
        ring.add(*(torch.from_numpy(np.asarray(each)[None].copy()) for each in told))
        kept.append((seen, step.final_observation.copy()))
        np.testing.assert_array_equal(made.places(), bare.places())
        seen, plain, vector = step.observation.copy(), other.observation, vectors.step(action).observation
    found = ring.windows(torch.arange(16)[None], 1, torch.tensor([0.9]))
    np.testing.assert_array_equal(found.observation[0].numpy(), np.concatenate([now for now, _ in kept]))
    np.testing.assert_array_equal(found.next_observation[0].numpy(), np.concatenate([then for _, then in kept]))


def test_a_run_from_pictures_that_is_killed_goes_on_to_the_bit(tmp_path: Path) -> None:
    blueprint = pixels()
    run, parts = assemble.start(blueprint, tmp_path / "whole", None)
    go_on(parts)
    run.close()
    broken = resumed(stopped(*assemble.start(blueprint, tmp_path / "broken", None), 96))
    assert result(broken) == result(run.path)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("environment.skills.size=17", "17 numbers of 4 bytes do not fit into a plane of 8 x 8 bytes"),
        ("environment.coverage.coordinates=[2]", "a place has 2 numbers, from 0 to 1: there is no entry 2"),
        ("normalization.observation={ kind = 'rs_norm' }", "METRA's networks read the bytes of pictures"),
    ],
)
def test_what_cannot_be_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        pixels(override)
    assert said in str(caught.value)


def test_other_algorithms_from_pixels_refuse_skills() -> None:
    with pytest.raises(BlueprintError, match="SAC would see the bytes of skills as a part of the pictures"):
        load(shipped()["dmc/drq"], ["environment.skills={ size = 2 }"], is_to_run=False)
