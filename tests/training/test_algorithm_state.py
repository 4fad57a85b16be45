"""What an algorithm declares is built: tensors of its own, sizes that follow, shared encoders, averages of averages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from encoded import AVERAGES, agent, encoded
from tiny_runs import EAGER, go_on, result, transitions
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.blueprint.forecast.memory import forecast
from composer.blueprint.forecast.one_program import joined
from composer.replay.transitions import Minibatch
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.population.stack import Stack
from composer.training.runs.checkpoint import Checkpoints


def copied(learner: Learner) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learner.tensors().items()}


def test_inputs_follow_from_the_encoders_outline() -> None:
    outlines = encoded().agent.sound_outlines
    assert list(outlines) == ["actor", "critic", "encoder"]
    assert (outlines["actor"].input, outlines["critic"].input) == ((7,), (9,))
    wider = encoded("networks.encoder.trunk.width=11").agent.sound_outlines
    assert (wider["actor"].input, wider["critic"].input) == ((11,), (13,))


def test_inputs_that_follow_from_each_other_are_refused() -> None:
    with pytest.raises(BlueprintError, match="the inputs of 'actor' and 'critic' and 'encoder' follow from each other"):
        encoded("algorithm.circular=true")


def test_a_network_without_a_shape_is_the_only_one_that_is_reported() -> None:
    with pytest.raises(BlueprintError) as caught:
        encoded('networks.encoder.trunk={ kind = "conv", channels = 4, kernel = 3 }')
    assert all(": networks.encoder" in str(problem) for problem in caught.value.problems)


def test_its_tensors_are_state_and_change_once_an_update() -> None:
    learner = agent("seeds=[0, 5]")
    first = learner.tensors()["algorithm/rewards"]
    assert first.tolist() == [[0.5, 0.5]] * 2 and first.dtype == torch.float64
    expected = first.clone()
    for step in range(3):
        batch = transitions(learner, step)
        learner.update(batch)
        now = torch.stack([batch.reward.mean(1), batch.reward.amax(1)], -1).double()
        expected = 0.75 * expected + 0.25 * now
    torch.testing.assert_close(learner.tensors()["algorithm/rewards"], expected)
    assert learner.tensors()["algorithm/seen"].tolist() == [96, 96]
    other = agent("seeds=[0, 5]")
    other.load(copied(learner))
    for name, value in other.tensors().items():
        assert torch.equal(value, learner.tensors()[name]), name


def test_they_are_in_the_forecast_and_in_checkpoints(tmp_path: Path) -> None:
    blueprint = encoded("seeds=[0, 5, 6]")
    assert forecast(blueprint).algorithm == 3 * (2 * 8 + 8)
    found = []
    for name in ("one", "other"):
        run, session = assemble.start(encoded(AVERAGES), tmp_path / name, None)
        go_on(session)
        run.close()
        saved = Checkpoints(run.path).load().tensors
        assert torch.equal(saved["algorithm/seen"], session.learner.tensors()["algorithm/seen"])
        assert saved["algorithm/seen"].item() > 0
        found.append(result(run.path))
    assert found[0] == found[1]


def test_a_fork_goes_on_with_them(tmp_path: Path) -> None:
    run, session = assemble.start(encoded(AVERAGES), tmp_path / "runs", None)
    go_on(session)
    run.close()
    longer = encoded(AVERAGES, "training.env_steps=90", "evaluation.every=90", "optimizers.actor.learning_rate=1e-2")
    fork, forked, _ = assemble.fork(run.path, longer, 60, 0, tmp_path / "forks")
    ours, theirs = forked.learner.tensors(), session.learner.tensors()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    go_on(forked)
    fork.close()
    assert ours["algorithm/seen"].item() == theirs["algorithm/seen"].item() + 30 * 32


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_agree() -> None:
    """Alone compiles an update that changes an algorithm's tensors and averages of averages."""
    torch.compiler.reset()
    compiled, eager = (agent("seeds=[0, 1]", AVERAGES, choice=Choice(each, "a test")) for each in (True, False))
    for step in range(5):
        for learner in (compiled, eager):
            learner.update(transitions(learner, step))
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-4, atol=2e-5, msg=name)


def test_agents_with_such_tensors_are_stacked() -> None:
    found = [
        encoded(AVERAGES),
        encoded(AVERAGES, "seeds=[3, 4]", "averages.slow.momentum=0.1", "optimizers.actor.learning_rate=0.1"),
    ]
    alone, parts = ([Learner(each.agent, "cpu", EAGER) for each in found] for _ in range(2))
    stack = Stack(Learner(joined(found).agent, "cpu", EAGER), [len(part.seeds) for part in parts], parts)
    for step in range(3):
        batches = [Minibatch(transitions(part, step)) for part in parts]
        stack.learn({place: [batch] for place, batch in enumerate(batches)})
        for learner, batch in zip(alone, batches, strict=True):
            learner.update(batch.transitions)
    for learner, part in zip(alone, parts, strict=True):
        for name, value in part.tensors().items():
            torch.testing.assert_close(value, learner.tensors()[name], rtol=2e-4, atol=2e-5, msg=name)


def test_the_encoder_follows_the_critics_loss_alone() -> None:
    slow, fast = agent("optimizers.actor.learning_rate=1e-6"), agent("optimizers.actor.learning_rate=0.5")
    first = copied(slow)
    for learner in (slow, fast):
        learner.update(transitions(learner))
    weight = "networks/encoder/trunk.weight"
    assert not torch.equal(slow.tensors()[weight], first[weight])
    assert torch.equal(slow.tensors()[weight], fast.tensors()[weight])
    assert not torch.equal(slow.tensors()["networks/actor/trunk.weight"], fast.tensors()["networks/actor/trunk.weight"])
