"""Agents from pixels in runs: the order of events, exact resumption, the clock of noise, stacks, compiled updates."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from tiny_pixels import batch, learner, noise, pixels
from tiny_runs import EAGER, go_on, interactions, result, resumed, stopped

from composer.blueprint.forecast.one_program import joined
from composer.blueprint.forecast.timeline import timeline
from composer.replay.transitions import Minibatch
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.export.policy import OneSeed
from composer.training.learner import Learner
from composer.training.population.stack import Stack
from composer.training.session import Session

LINE = "{ kind = 'linear', start = 1.0, end = 0.0, updates = 50 }"
V2 = (
    "training.overlap=true",
    "algorithm.update_to_data=0.5",
    "algorithm.untrained_interactions=0",
    *(f"algorithm.{name}_noise={{ std = {LINE}, clock = 'interaction', clip = 0.3 }}" for name in ("target", "actor")),
    f"algorithm.exploration={{ std = {LINE}, clock = 'interaction' }}",
)
"""As DrQ-v2 trains, in a run of 60 interactions."""
RESET = "interventions.reset={ use = 'full_reset', interval = 30, clock = 'interaction', where = ['*', '!encoder.*'] }"

VIEWS = "algorithm.pixels.target_views=2", "algorithm.pixels.critic_views=2"
SHORT = "critic", "projection", "actor"
"""Roles whose optimizer a compiled update need not have: a compilation costs by the number of parameters."""


def begun(runs: Path, *overrides: str, variant: str | None) -> Session:
    return assemble.start(pixels(*overrides, variant=variant), runs, None)[1]


def test_drq_v2_acts_updates_and_steps_in_the_order_of_its_code(tmp_path: Path) -> None:
    """train.py: at step t an action under the noise of t, at every second t an update on what was stored before it."""
    session = begun(tmp_path, *V2, variant="v2")
    agent, events = session.learner, list[tuple[str, int, float]]()
    noises = agent.program._settings  # type: ignore[attr-defined]

    def told(name: str) -> None:
        std = noises.exploration.std(agent.interactions).item()
        events.append((name, session.collector.replay.added, std))  # type: ignore[attr-defined]

    explore, learn = agent.policy.explore, agent.learn
    agent.policy.explore = lambda seen: (told("act"), explore(seen))[1]  # type: ignore[method-assign]
    agent.learn = lambda batches: (told("update"), learn(batches))[1]  # type: ignore[method-assign]
    for _ in interactions(session):
        pass
    session.close()
    expected = []
    for step in range(20, 60):
        std = max(1 - step / 50, 0.0)
        expected += [("act", step, std)] + ([("update", step, std)] if step % 2 == 0 else [])
    assert [each[:2] for each in events] == [each[:2] for each in expected]
    assert [each[2] for each in events] == pytest.approx([each[2] for each in expected], abs=1e-6)
    planned = {(each.key, each.env_step) for each in timeline(pixels(*V2, variant="v2"))}
    assert {("algorithm.exploration.std", 0), ("algorithm.exploration.std", 50)} <= planned


@pytest.mark.parametrize(("variant", "overrides"), [("v2", V2), (None, (RESET,))])
def test_runs_from_pixels_are_resumed_to_the_bit(
    variant: str | None, overrides: tuple[str, ...], tmp_path: Path
) -> None:
    found = []
    for stop in (None, 43):
        run, session = assemble.start(pixels(*overrides, variant=variant), tmp_path / str(stop), None)
        if stop is None:
            go_on(session)
            run.close()
            found.append(result(run.path))
        else:
            found.append(result(resumed(stopped(run, session, at=stop))))
    assert found[0] == found[1]


def test_a_reset_keeps_the_encoder_its_moments_and_its_average(tmp_path: Path) -> None:
    """train_pixels.py of arXiv:2205.07802: all else is new, the temperature too; the target has the same new heads."""
    found = []
    for name, overrides in (("reset", (RESET,)), ("plain", ())):
        session = begun(tmp_path / name, *overrides, variant=None)
        for _ in islice(interactions(session), 30):
            pass
        session.close()
        found.append({name: value.clone() for name, value in session.learner.tensors().items()})
    reset, plain = found
    changed = {name for name, value in reset.items() if not torch.equal(value, plain[name])}
    kept = ("networks/encoder/", "averages/target_encoder/", "optimizers/encoder/")
    assert not [name for name in changed if name.startswith(kept)]
    moments = [value for name, value in plain.items() if name.startswith("optimizers/encoder/")]
    assert all(value.any() for value in moments), "there must be something to keep"
    weights = {f"networks/{role}/trunk.0.weight" for role in ("projection", "actor", "critic")}
    assert weights | {"averages/target_critic/trunk.0.weight"} <= changed
    for role in ("projection", "critic"):
        for path in session.learner.networks[role].parameters:
            assert torch.equal(reset[f"networks/{role}/{path}"], reset[f"averages/target_{role}/{path}"])
    assert reset["networks/temperature/value"].item() == 0.0 != plain["networks/temperature/value"].item()


def test_agents_from_pixels_are_stacked() -> None:
    """Two views of each, other learning rates, and a clock of interactions that each part has of its own."""
    for variant, other in ((None, "optimizers.encoder.learning_rate=0.1"), ("v2", f"algorithm.exploration.std={LINE}")):
        kept = V2 if variant else ()
        found = [pixels(*kept, variant=variant), pixels(*kept, "seeds=[3, 4]", other, variant=variant)]
        alone, parts = ([Learner(each.agent, "cpu", EAGER) for each in found] for _ in range(2))
        stack = Stack(Learner(joined(found).agent, "cpu", EAGER), [len(part.seeds) for part in parts], parts)
        for step in range(3):
            batches = [Minibatch(batch(len(part.seeds), step), {}) for part in parts]
            for number, agent in enumerate((*alone, *parts)):
                agent.interactions.fill_(10 * step + number % 2)
            stack.learn({place: [each] for place, each in enumerate(batches)})
            for agent, each in zip(alone, batches, strict=True):
                agent.update(each.transitions)
        for agent, part in zip(alone, parts, strict=True):
            for name, value in part.tensors().items():
                torch.testing.assert_close(value, agent.tensors()[name], rtol=2e-4, atol=2e-5, msg=name)


def test_a_policy_cut_out_for_export_sees_through_the_encoder() -> None:
    agent, blueprint = learner("seeds=[0, 5]"), pixels("seeds=[0, 5]")
    seen = batch(2).observation
    for seed in range(2):
        action = OneSeed(blueprint.agent, agent, seed).act(seen[seed])
        torch.testing.assert_close(action, agent.act(seen, explore=False)[seed], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_from_pixels_agree() -> None:
    """Alone compiles an update that augments pictures in several views and trains three networks by one loss."""
    torch.compiler.reset()
    plain = ["networks.critic.copies=1", *(f"optimizers.{role}={{ kind = 'sgd' }}" for role in SHORT), *VIEWS]
    eager, compiled = (learner(*plain, variant="v2", choice=Choice(each, "a test")) for each in (False, True))
    for step in range(3):
        draws = noise(eager, step)
        for agent in (eager, compiled):
            agent.learn_with_noise([draws], [Minibatch(batch(seed=step), {})])
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=1e-3, atol=1e-5, msg=name)
