"""Value networks in NumPy against torch: values, cosines of gradients, steps of Adam; the experiment around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composer.studies.tabular import interference_experiment as experiment
from composer.studies.tabular import value_network as network
from composer.studies.tabular.value_network import Parameters

INPUTS = np.random.default_rng(0).standard_normal((5, 3))


def in_torch(parameters: Parameters, run: int) -> list[torch.Tensor]:
    return [torch.tensor(each[run], requires_grad=True) for each in parameters]


def forward(tensors: list[torch.Tensor], inputs: np.ndarray) -> torch.Tensor:
    hidden = torch.tensor(inputs)
    for i in range(0, 6, 2):
        hidden = hidden @ tensors[i] + tensors[i + 1]
        hidden = hidden.relu() if i < 4 else hidden
    return hidden[:, 0]


def test_values_and_cosines_of_gradients_are_torch_s() -> None:
    parameters = network.fresh(range(2), 3)
    parameters[1] += 0.3
    for run in range(2):
        tensors = in_torch(parameters, run)
        values = forward(tensors, INPUTS)
        np.testing.assert_allclose(network.values(parameters, INPUTS)[run], values.detach(), rtol=1e-12)
        rows = [torch.cat([g.ravel() for g in torch.autograd.grad(v, tensors, retain_graph=True)]) for v in values]
        gradients = torch.stack(rows)
        cosines = torch.nn.functional.cosine_similarity(gradients[:, None], gradients[None], dim=-1)
        np.testing.assert_allclose(network.interference(parameters, INPUTS)[run], cosines, rtol=1e-10)


def test_training_is_torch_s_adam_on_the_mean_squared_error() -> None:
    parameters = network.fresh(range(2), 3)
    goals = np.random.default_rng(1).standard_normal((2, 5))
    trained = network.train(parameters, INPUTS, lambda update, values: goals + 0.1 * update * values, 3)
    for run in range(2):
        tensors = in_torch(parameters, run)
        adam = torch.optim.Adam(tensors, network.LEARNING_RATE)
        for update in range(3):
            values = forward(tensors, INPUTS)
            target = torch.tensor(goals[run]) + 0.1 * update * values.detach()
            adam.zero_grad()
            (values - target).square().mean().backward()
            adam.step()
        for ours, theirs in zip(trained, tensors, strict=True):
            np.testing.assert_allclose(ours[run], theirs.detach(), rtol=1e-9, atol=1e-12)


def test_networks_learn_values_and_the_student_learns_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STATES": 12, "UPDATES": 400, "DISCOUNT": 0.6, "DISTANCES": (1, 6)}.items():
        monkeypatch.setattr(experiment, name, value)
    table = experiment.measure(2)
    by = {row["network"]: row for row in table["rows"]}
    for name in ("TD", "regression on values", "distilled from TD"):
        assert by[name]["error"]["value"] < 0.2 < by["fresh"]["error"]["value"]
    apart = by["distilled from TD"]["held_out_error"]["value"] - by["TD"]["held_out_error"]["value"]
    assert by["distilled from TD - TD"]["held_out_error"]["value"] == pytest.approx(apart)
    assert all(curve["y"][0]["value"] > curve["y"][1]["value"] for curve in table["curves"]), "nearer is more alike"
