"""METRA written out a second time in float64, without the program's code: arXiv:2310.08887 and its released code.

For tests/papers/test_metra.py and, with networks that begin with a convolution, tests/papers/test_metra_pixels.py.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from composer.blueprint import Blueprint, load
from composer.replay.transitions import Transitions
from composer.training.learner import Learner

TINY = Path(__file__).parent / "tiny_metra.toml"
BATCH, SKILL, ACTIONS = 16, 2, 2
RATES = {"representation": 0.01, "multiplier": 0.02, "critic": 0.03, "actor": 0.04, "temperature": 0.05}


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(len(agent.seeds), BATCH, *shape, generator=generator)
        for name, shape in agent.program.noise.items()
    }


class Plain:
    """The agent of one seed on its parameters in float64, which takes the steps of an update one after another."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        self.held = {
            name: [
                {path: value[seed, copy].detach().double().requires_grad_() for path, value in stack.parameters.items()}
                for copy in range(stack.copies)
            ]
            for name, stack in {**agent.networks, **agent.averages}.items()
        }
        scalars = {name: value["value"][seed, 0].detach().double() for name, value in agent.scalars.items()}
        self.log_lambda, self.log_alpha = scalars["multiplier"], scalars["temperature"]

    def rows(self, observation: Tensor) -> Tensor:
        """What an observation ``[B, ...]`` says, in float64: numbers, then the skill."""
        return observation.double()

    def trunk(self, w: dict[str, Tensor], x: Tensor) -> Tensor:
        """Of actor and critics."""
        return mlp(w, "trunk.0.0", x)

    def phi(self, s: Tensor) -> Tensor:
        w = self.held["representation"][0]
        hidden = mlp(w, "trunk.0.1.0", mlp(w, "trunk.0.0.0", s[:, :-SKILL]))
        return linear(w, "trunk.1", hidden)

    def pi(self, s: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        w = self.held["actor"][0]
        x = self.trunk(w, s)
        mean = linear(w, "head.mean", x)
        log_std = -10 + 6 * (1 + linear(w, "head.log_std", x).tanh())
        u = mean + log_std.exp() * eps
        log_pi = (-0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi) - (1 - u.tanh() ** 2).log()).sum(-1)
        return u.tanh(), log_pi

    def q(self, name: str, s: Tensor, a: Tensor) -> Tensor:
        found = [linear(w, "head.linear", self.trunk(w, torch.cat([s, a], -1))) for w in self.held[name]]
        return torch.stack(found).squeeze(-1)

    def step(self, role: str, loss: Tensor) -> None:
        """Gradient descent; the parameters are replaced."""
        for copy, held in enumerate(self.held[role]):
            gradients = torch.autograd.grad(loss, [*held.values()], retain_graph=True)
            self.held[role][copy] = {
                path: (value - RATES[role] * gradient).detach().requires_grad_()
                for (path, value), gradient in zip(held.items(), gradients, strict=True)
            }

    def reward(self, s: Tensor, t: Tensor, is_choice: bool) -> tuple[Tensor, Tensor]:
        z, delta = s[:, -SKILL:], self.phi(t) - self.phi(s)
        if is_choice:
            z = (z - 1 / SKILL) * SKILL / (SKILL - 1)
        return (delta * z).sum(1), delta

    def equals(self, agent: Learner, seed: int = 0) -> None:
        """Assert that parameters, averages and scalars of an agent are these."""
        for name, stack in {**agent.networks, **agent.averages}.items():
            for copy, held in enumerate(self.held[name]):
                for path, value in held.items():
                    found = stack.parameters[path][seed, copy].double()
                    torch.testing.assert_close(found, value.detach(), rtol=1e-4, atol=2e-6, msg=f"{name} {path}")
        for name, own in (("multiplier", self.log_lambda), ("temperature", self.log_alpha)):
            found = agent.scalars[name]["value"][seed, 0].double()
            torch.testing.assert_close(found, own, rtol=0, atol=1e-6, msg=name)

    def update(
        self, data: Transitions, draws: dict[str, Tensor], is_choice: bool = False, is_sum: bool = False
    ) -> None:
        """The order of the released code."""
        s, t = self.rows(data.observation[0]), self.rows(data.next_observation[0])
        a, bootstrap = data.action[0].double(), data.bootstrap[0].double()
        reward, delta = self.reward(s, t, is_choice)
        length = (delta**2).sum(1) / (1 if is_sum else SKILL)
        slack = (1 - length).clip(max=1e-3)
        self.step("representation", -(reward + self.log_lambda.exp() * slack).mean())
        # d/d log lambda of log lambda * mean slack, on the slack before the step of phi.
        self.log_lambda = self.log_lambda - RATES["multiplier"] * slack.mean().detach()
        with torch.no_grad():
            reward, _ = self.reward(s, t, is_choice)
            b, log_pi = self.pi(t, draws["target"][0].double())
            y = reward + bootstrap * (self.q("target_critic", t, b).amin(0) - self.log_alpha.exp() * log_pi)
        self.step("critic", 0.5 * (self.q("critic", s, a) - y).square().mean(1).sum())
        b, log_pi = self.pi(s, draws["actor"][0].double())
        self.step("actor", (self.log_alpha.exp() * log_pi - self.q("critic", s, b).amin(0)).mean())
        target_entropy = -ACTIONS / 2
        self.log_alpha = self.log_alpha + RATES["temperature"] * (log_pi.detach().mean() + target_entropy)
        for target, online in zip(self.held["target_critic"], self.held["critic"], strict=True):
            for path, value in target.items():
                target[path] = 0.9 * value.detach() + 0.1 * online[path].detach()


def linear(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def mlp(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return linear(w, path, x).relu()
