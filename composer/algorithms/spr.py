"""Self-predictive representations: the spec. The loss is in ``spr_losses.py``. Tests: tests/papers/test_spr.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from composer.algorithms.base import AgentDeclaration, one_gradient_needed
from composer.algorithms.declared import Evaluated, Passes, Role
from composer.networks.outline import Outline
from composer.spec.family import Spec

Size = Annotated[int, Field(ge=1, le=1_048_576)]
ROLES = ("transition", "projection", "predictor")


class SPR(Spec):
    """Predict the latents of the next K observations from the present one and the actions taken.

    The latent is the output of the trunk of the network ``value``, flat. ``transition`` maps latent and one-hot action
    to the next latent, ``projection`` a latent to a smaller one, ``predictor`` a projection to a prediction. Targets
    are projections by the averages ``target_value`` and ``target_projection``. The loss of a sample is the
    mean over K steps of ``|p - t|^2 = 2 - 2 cos``, p and t at unit norm, 0 after the episode's end, as in the released
    code of BBF, arXiv:2305.19452. Source: arXiv:2007.05929, where it is ``-cos`` summed: the same gradient up to 2 / K.
    """

    steps: Annotated[int, Field(ge=1, le=64)] = 5
    """Predicted steps, K."""
    weight: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    """Factor on the loss, which is added to that of values."""
    latent: Size
    """Width of a latent: the output of the trunk of ``value``."""
    projection: Size = 512
    """Width of a projection; 512 in SPR, 2048 in BBF."""

    def roles(self, actions: int) -> tuple[Role, ...]:
        """The transition reads a latent and an action, the projection a latent, the predictor a projection."""
        latent, projection = ("latent", (self.latent,)), ("projection", (self.projection,))
        inputs = ((latent, ("action", (actions,))), (latent,), (projection,))
        return tuple(
            Role(name, (sum(shape[0] for _, shape in parts),), "features", option="spr", concatenates=parts)
            for name, parts in zip(ROLES, inputs, strict=True)
        )

    def evaluations(self) -> tuple[Evaluated, ...]:
        """Each step counts the whole target network, though its head is not evaluated."""
        each = [Evaluated(role, Passes.TRAIN) for role in ROLES]
        return (
            *each,
            Evaluated("target_value", Passes.FORWARD),
            Evaluated("target_projection", Passes.FORWARD),
        ) * self.steps

    def problems(self, agent: AgentDeclaration) -> Iterator[tuple[str, str]]:
        """Widths that do not fit, and settings that SPR cannot be combined with."""
        outlines = agent.outlines
        value = outlines.get("value")
        if isinstance(value, Outline) and value.children["trunk"].output != (self.latent,):
            found = list(value.children["trunk"].output)
            yield "algorithm.spr.latent", f"the trunk of 'value' gives {found}: 'latent' must be its width"
        widths = {"transition": self.latent, "projection": self.projection, "predictor": self.projection}
        for role, width in widths.items():
            outline = outlines.get(role)
            if isinstance(outline, Outline) and outline.output != (width,):
                yield f"networks.{role}", f"SPR's {role} must give [{width}], and gives {list(outline.output)}"
        yield from one_gradient_needed("SPR trains several networks by one loss", agent, "value", *ROLES)
        for name, one in agent.interventions.items():
            if one.do.growth is not None:
                yield f"interventions.{name}", "SPR reads a network's trunk alone, so that nothing can be injected"
            elif one.do.reshapes:
                yield f"interventions.{name}", "SPR reads a network's trunk alone, whose modules cannot be rebuilt"
