"""One captured graph of the whole update, with everything that DQN can be, equals the eager update."""

from __future__ import annotations

import pytest
import torch
from tiny_dqn import AUGMENTED, RAINBOW, batch, learner, noise

from composer.replay.transitions import Minibatch
from composer.training.compile.capture import Choice

EVERYTHING = (
    *RAINBOW,
    AUGMENTED[-1],
    # A compilation costs by the number of parameters: both streams of one noisy layer.
    'networks.value.head={ kind = "dueling", '
    'head = { kind = "categorical_value", values = "per_action", atoms = 5, low = -5.0, high = 5.0, sigma = 0.5 } }',
)
"""Rainbow on augmented pictures."""


@pytest.mark.slow
def test_the_captured_update_equals_the_eager_one() -> None:
    """Alone makes code of a whole DQN update (convolutions, noise, priorities), and compares its numbers."""
    torch.compiler.reset()
    eager, captured = (learner(*EVERYTHING, choice=Choice(compiled, "a test")) for compiled in (False, True))
    for step in range(3):
        data, extra = batch(eager, step)
        for agent in (eager, captured):
            agent.learn_with_noise([noise(agent, step)], [Minibatch(data, extra)])
    for (name, one), other in zip(eager.tensors().items(), captured.tensors().values(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5, msg=name)
    torch.testing.assert_close(captured.reports, eager.reports, rtol=1e-3, atol=1e-5)
