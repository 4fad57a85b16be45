"""DrQ and DrQ-v2 written out a second time, view by view, in float64: arXiv:2004.13649, arXiv:2107.09645."""

from __future__ import annotations

import pytest
import torch
from tiny_pixels import BATCH, PICTURE, batch, called, in_float64, learner, noise, pixels
from torch import Tensor
from torch.special import ndtr

from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.training.learner import Learner


def shifted(picture: Tensor, draws: Tensor) -> Tensor:
    """A picture ``[c, h, w]`` padded by one pixel of its edge and cropped where two unit normals say."""
    down, right = (min(int(ndtr(draw) * 3), 2) for draw in draws)
    padded = torch.nn.functional.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    return padded[:, down : down + PICTURE[1], right : right + PICTURE[2]]


def views(pictures: Tensor, draws: Tensor) -> list[Tensor]:
    """All augmented views ``[B, c, h, w]`` of pictures, from draws ``[B, 2]`` or ``[B, views, 2]``."""
    each = draws.unflatten(-1, (1, 2)) if draws.ndim == 2 else draws
    return [
        torch.stack([shifted(pictures[b].double(), each[b, view]) for b in range(BATCH)])
        for view in range(each.shape[1])
    ]


class Written:
    """The losses of one agent of one seed, written out over its networks."""

    def __init__(self, agent: Learner, bootstrap: float = 1.0) -> None:
        drawn = batch()
        self.agent, self.data = agent, drawn._replace(bootstrap=bootstrap * drawn.bootstrap)
        self.draws = {name: value.double() for name, value in noise(agent).items()}
        self.nets = {**agent.networks, **agent.averages}
        self.now = views(self.data.observation[0], self.draws["now/0"][0])
        self.following = views(self.data.next_observation[0], self.draws["following/0"][0])

    def values(self, names: tuple[str, str], seen: Tensor, action: Tensor) -> Tensor:
        """``[C, B]`` of both critics over features ``seen``; names of projection and critic."""
        read = torch.cat([called(self.nets[names[0]], seen), action], -1)
        return torch.stack([called(self.nets[names[1]], read, copy) for copy in range(2)])

    def encoded(self, view: Tensor, name: str = "encoder") -> Tensor:
        return called(self.nets[name], view)

    def squared(self, target: Tensor) -> Tensor:
        """The sum over views and critics of mean squared errors."""
        action = self.data.action[0].double()
        found = [self.values(("projection", "critic"), self.encoded(view), action) for view in self.now]
        return torch.stack([(value - target).square().mean(1).sum() for value in found]).sum()

    def losses(self) -> tuple[Tensor, Tensor]:
        """As the program computes them: of the critics, of the actor."""
        signals: dict[str, Tensor] = {}
        data = Batch(*(value.double() for value in self.data))
        found = {each.role: each.loss(data, self.draws, signals) for each in self.agent.program.objectives}
        return found["critic"][0], found["actor"][0]


def gaussian(raw: tuple[Tensor, Tensor], draws: Tensor) -> tuple[Tensor, Tensor]:
    """An action of a tanh Gaussian and its log-density, from the formula of a change of variables."""
    mean, log_std = raw
    before = mean + log_std.exp() * draws
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(before)
    action = before.tanh()
    return action, (density - (1 - action.square()).log()).sum(-1)


def test_drq_averages_targets_and_sums_losses_over_views() -> None:
    """Eq. 1 to 4: each view of a next observation has an action of its own; the target has an encoder of its own."""
    w = Written(in_float64(learner()))
    alpha = w.agent.built.scalars["temperature"].exp().double().item()
    targets = []
    for view, draws in zip(w.following, w.draws["target"][0].unbind(1), strict=True):
        action, density = gaussian(called(w.nets["actor"], w.encoded(view)), draws)
        value = w.values(("target_projection", "target_critic"), w.encoded(view, "target_encoder"), action).amin(0)
        targets.append(w.data.reward[0] + w.data.bootstrap[0] * (value - alpha * density))
    assert not torch.allclose(*targets), "the views must differ"
    action, density = gaussian(called(w.nets["actor"], w.encoded(w.now[0])), w.draws["actor"][0])
    climbed = w.values(("projection", "critic"), w.encoded(w.now[0]), action).amin(0)
    critic, actor = w.losses()
    wanted = w.squared(((targets[0] + targets[1]) / 2).detach())
    torch.testing.assert_close(critic, wanted, rtol=1e-6, atol=1e-8)
    weights = [value for role in ("encoder", "projection", "critic") for value in w.nets[role].parameters.values()]
    for mine, theirs in zip(torch.autograd.grad(critic, weights), torch.autograd.grad(wanted, weights), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(actor, (alpha * density - climbed).mean(), rtol=1e-6, atol=1e-8)


def test_drq_v2_clips_noise_and_passes_gradients_through_the_bounds_of_actions() -> None:
    """Next actions by the actor itself, over the online encoder; the bounds are no wall to the gradient."""
    straight = "algorithm.actor_noise={ std = 0.9, clip = 0.8, straight_through = true }"
    w = Written(in_float64(learner(straight, variant="v2")))
    assert "target_encoder" not in w.nets
    jitter = (0.4 * w.draws["target"][0]).clip(-0.3, 0.3)
    following = (called(w.nets["actor"], w.encoded(w.following[0])) + jitter).clip(-1, 1)
    value = w.values(("target_projection", "target_critic"), w.encoded(w.following[0]), following).amin(0)
    critic, actor = w.losses()
    wanted = w.squared((w.data.reward[0] + w.data.bootstrap[0] * value).detach())
    torch.testing.assert_close(critic, wanted, rtol=1e-6, atol=1e-8)
    chosen = called(w.nets["actor"], w.encoded(w.now[0]).detach())
    noisy = chosen + (0.9 * w.draws["actor"][0]).clip(-0.8, 0.8)
    assert (noisy.abs() > 1).any(), "some must be clipped"
    clipped = noisy.detach().clip(-1, 1).requires_grad_()
    climbed = -w.values(("projection", "critic"), w.encoded(w.now[0]), clipped).amin(0).mean()
    torch.testing.assert_close(actor, climbed, rtol=1e-6, atol=1e-8)
    (slope,) = torch.autograd.grad(climbed, clipped)
    weights = list(w.nets["actor"].parameters.values())
    for mine, theirs in zip(
        torch.autograd.grad(actor, weights), torch.autograd.grad(noisy, weights, grad_outputs=slope), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_a_target_actor_reads_the_targets_encoder_where_there_is_one() -> None:
    for own, encoder in (
        ("", "encoder"),
        ("averages.target_encoder={ of = 'encoder', momentum = 0.9 }", "target_encoder"),
    ):
        removed = [] if own else ["~averages.target_encoder"]
        w = Written(in_float64(learner(*removed, variant="td3")))
        seen, draws = w.encoded(w.following[0], encoder), (0.2 * w.draws["target"][0]).clip(-0.5, 0.5)
        following = (called(w.nets["target_actor"], seen) + draws).clip(-1, 1)
        value = w.values(("target_projection", "target_critic"), seen, following).amin(0)
        critic, actor = w.losses()
        target = (w.data.reward[0] + w.data.bootstrap[0] * value).detach()
        torch.testing.assert_close(critic, w.squared(target), rtol=1e-6, atol=1e-8)
        action = called(w.nets["actor"], w.encoded(w.now[0]))
        climbed = w.values(("projection", "critic"), w.encoded(w.now[0]), action)[0]
        torch.testing.assert_close(actor, -climbed.mean(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("variant", [None, "v2"])
def test_the_critics_loss_trains_the_encoder_and_the_actors_leaves_it_alone(variant: str | None) -> None:
    """Gradients against finite differences of the loss in float64, at every network that it trains.

    Nothing is bootstrapped: targets follow the encoder too, without gradients.
    """
    w = Written(in_float64(learner("seeds=[3]", variant=variant)), bootstrap=0.0)
    critic, actor = w.losses()
    trained = ("encoder", "projection", "critic")
    objective = next(each for each in w.agent.program.objectives if each.role == "critic")
    assert objective.roles == ("critic", "encoder", "projection")
    for role in trained:
        path, value = next(iter(w.nets[role].parameters.items()))
        (gradient,) = torch.autograd.grad(critic, [value], retain_graph=True)
        for index in ((0,) * value.ndim, tuple(size - 1 for size in value.shape)):
            losses = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    value[index] += step
                losses.append(w.losses()[0].item())
                with torch.no_grad():
                    value[index] -= step
            found = (losses[0] - losses[1]) / 2e-5
            assert found == pytest.approx(gradient[index].item(), rel=1e-5, abs=1e-7), (role, path, index)
    before = {path: value.clone() for path, value in w.nets["encoder"].parameters.items()}
    held = [value for role in ("encoder", "projection") for value in w.nets[role].parameters.values()]
    found_by_actor = torch.autograd.grad(actor, held, allow_unused=True, retain_graph=True)
    assert all(each is None for each in found_by_actor), "the actor's loss has no way to the encoder"
    assert all(torch.equal(value, before[path]) for path, value in w.nets["encoder"].parameters.items())


@pytest.mark.parametrize(("variant", "reuses"), [(None, "false"), ("v2", "true"), ("v2", "false")])
def test_the_actor_reads_the_encoder_after_its_step_or_the_features_from_before(
    variant: str | None, reuses: str
) -> None:
    """DrQ encodes anew, DrQ-v2 does not; both read critics and projection after their step."""
    change = f"algorithm.pixels.reuse_features={reuses}"
    agent, before, after = (learner(change, variant=variant) for _ in range(3))
    data, draws = batch(), noise(agent)
    agent.compute_update(*data, *draws.values())
    (signals,) = agent.drain_signals()
    expected = []
    for other, moved in ((before, ("critic", "projection")), (after, ("critic", "projection", "encoder"))):
        told: dict[str, Tensor] = {}
        losses = {each.role: each.loss for each in other.program.objectives}
        if moved == ("critic", "projection"):
            losses["critic"](other.batch(data), draws, told)
        for role in moved:
            for path, value in other.networks[role].parameters.items():
                value.data.copy_(agent.networks[role].parameters[path])
        if moved[-1] == "encoder":
            losses["critic"](other.batch(data), draws, told)
        expected.append(losses["actor"](other.batch(data), draws, told).item())
    old, new = expected
    assert old != pytest.approx(new, rel=1e-6), "the step of the encoder must show"
    assert signals["actor/loss"] == pytest.approx(old if reuses == "true" else new, rel=1e-5)


def test_settings_that_do_not_fit_are_refused() -> None:
    for overrides, said in (
        (["~algorithm.pixels"], "SAC sees pictures through an encoder: add algorithm.pixels = {}"),
        (["environment={ kind = 'test/drift' }"], "observations here are numbers [3], not pictures: remove it"),
        (["algorithm.pixels.reuse_features=true", "algorithm.first='actor'"], "the actor steps first"),
        (["algorithm.joint_batch=true"], "from pixels, present and next observations are read apart"),
        (["~averages.target_projection"], "SAC needs an average 'target_projection' of 'projection'"),
        (
            ["optimizers.critic={ kind = 'sam', base = { kind = 'adam' } }"],
            "trains several networks, which 'sam' cannot",
        ),
    ):
        with pytest.raises(BlueprintError) as caught:
            pixels(*overrides)
        assert said in str(caught.value), overrides
