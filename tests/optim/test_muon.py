"""Muon against ``torch.optim.Muon`` in float32, the rest against AdamW; resets of its state; what it refuses."""

from __future__ import annotations

import pytest
import torch
from surgeon import Patient
from tiny_runs import tiny
from torch import Tensor
from torch_optimizers import gradients, numbers, parameters

from composer.blueprint import BlueprintError
from composer.optim import AdamW, Muon
from composer.optim.muon_steps import orthogonal


@pytest.mark.parametrize(("scale", "theirs"), [("rows", "original"), ("adamw", "match_rms_adamw")])
def test_matrices_follow_torchs_muon_and_the_rest_adamw(
    scale: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A matrix of the trunk, tall as it is; its bias and the head's matrix are AdamW's. Decay is each one's own."""
    monkeypatch.setattr(Tensor, "bfloat16", lambda self: self.clone())
    ours = parameters(2)
    spec = Muon.model_validate({
        "learning_rate": 0.02, "weight_decay": 0.1, "scale": scale, "nesterov": scale == "rows",
        "rest": {"kind": "adamw", "learning_rate": 1e-3, "weight_decay": 0.05},
    })  # fmt: skip
    state = spec.build(ours, numbers(2))
    member = {path: value[1, 0].clone().requires_grad_() for path, value in parameters(2).items()}
    matrix = member.pop("trunk.0.weight")
    muon = torch.optim.Muon([matrix], lr=0.02, weight_decay=0.1, nesterov=scale == "rows", adjust_lr_fn=theirs)
    adamw = torch.optim.AdamW(member.values(), lr=1e-3, weight_decay=0.05)
    for step in range(8):
        drawn = gradients(2, step)
        state.step(list(drawn.values()))
        for path, value in [("trunk.0.weight", matrix), *member.items()]:
            value.grad = drawn[path][1, 0]
        muon.step()
        adamw.step()
        for path, value in [("trunk.0.weight", matrix), *member.items()]:
            torch.testing.assert_close(ours[path][1, 0], value.detach(), rtol=1e-4, atol=1e-5, msg=f"{path} at {step}")
    shapes = {path: tuple(value.shape[2:]) for path, value in ours.items()}
    assert spec.entries(shapes) == 12 + 2 * (4 + 4)


def test_five_steps_leave_singular_values_near_one() -> None:
    """Of wide and tall matrices alike; with the coefficients of a convergent cubic, exactly one."""
    for rows, columns in ((6, 20), (20, 6)):
        drawn = torch.randn(2, 1, rows, columns, generator=torch.Generator().manual_seed(1))
        steep = [torch.full((2,), each) for each in (3.4445, -4.775, 2.0315)]
        values = torch.linalg.svdvals(orthogonal(drawn, steep, 5))
        assert values.min() > 0.5 and values.max() < 1.5
        left, _, right = torch.linalg.svd(drawn, full_matrices=False)
        cubic = [torch.full((2,), each) for each in (1.5, -0.5, 0.0)]
        torch.testing.assert_close(orthogonal(drawn, cubic, 40), left @ right, rtol=1e-4, atol=1e-5)


def test_a_kernel_has_a_row_for_each_output() -> None:
    """A step on a kernel is that on its matrix, and stays when the memory is laid out with channels last."""
    kernel = torch.zeros(1, 1, 4, 3, 2, 2)
    drawn = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(2))
    flat = torch.zeros(1, 1, 4, 12)
    for value, gradient in ((kernel, drawn), (flat, drawn.flatten(3))):
        Muon(matrices=["*"], rest=AdamW()).build({"w": value}, numbers(1)).step([gradient])
    torch.testing.assert_close(kernel.flatten(3), flat)


def test_interventions_reset_its_state_and_runs_go_on_exactly() -> None:
    """Moments, counts and schedules begin anew in both parts; loaded tensors continue to the same bits."""
    declared = "optimizers.critic={ kind = 'muon', rest = { kind = 'adam', learning_rate = 1e-3 } }"
    reset = "interventions.it={ use = 'full_reset', interval = 2, clock = 'update', schedules = 'restart' }"
    whole, half = Patient(declared), Patient(declared)
    whole.update(3)
    half.learner.load(whole.state())
    half.updates = 3
    for name, generator in whole.learner.generators().items():
        half.learner.generators()[name].set_state(generator.get_state())
    assert "optimizers/critic/hidden.mean.trunk.0.weight" in whole.state()
    for patient in (whole, half):
        patient.update(2)
    assert all(torch.equal(value, half.state()[name]) for name, value in whole.state().items())
    patient = Patient(declared, reset)
    patient.update(1)
    optimizer = patient.learner.optimizers["critic"]
    assert all(optimizer.count(path).all() for path in optimizer.paths())
    patient.update(1)
    assert all(not optimizer.count(path).any() for path in optimizer.paths())
    assert all(not moment.any() for path in optimizer.paths() for moment in optimizer.moments(path))
    assert not any(counter.any() for counter in optimizer.counters())


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(BlueprintError, match=r"'trunks\.\*' matches no parameter"):
        tiny("optimizers.critic={ kind = 'muon', matrices = ['trunks.*'] }")
    with pytest.raises(BlueprintError, match="'sam' is for all parameters at once: wrap it around muon"):
        tiny("optimizers.critic={ kind = 'muon', rest = { kind = 'sam', base = { kind = 'adam' } } }")
