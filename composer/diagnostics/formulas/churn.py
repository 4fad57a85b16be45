"""Change of a policy on the same states. Tests: tests/papers/test_measures.py.

Legend: n states, a action size.
"""

from __future__ import annotations

from torch import Tensor


def churn(before: Tensor, after: Tensor) -> Tensor:
    """Change of the actions that a policy prefers on n states, a mean over states.

    Discrete actions, integers ``[..., n]``: the share of states whose action is another one. Continuous actions
    ``[..., n, a]``: the mean Euclidean distance. Source: Schaul et al., "The phenomenon of policy churn",
    arXiv:2206.00730, for discrete actions; the distance is ours.
    """
    if before.is_floating_point():
        distance: Tensor = (after - before).norm(dim=-1).mean(-1)
        return distance
    return (after != before).double().mean(-1)
