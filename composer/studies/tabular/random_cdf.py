"""The stochastic categorical CDF Bellman equation: a random distribution function for every state.

``Phi(x) = H(x) Phi(X') + c(x)`` in distribution, with a random successor X' of x that is independent of Phi. H and c
project a step on the atoms (``categorical.cdf_operator``). Its mean is the categorical fixed point F; its covariance
says how much F depends on the successors that were drawn. Source: Rowland et al., arXiv:2402.07598, which names the
equation; the covariance and the spread of the estimate below are derived here.
Legend: n states, k = m - 1 values of F that are not known. Tests: tests/studies/tabular/test_random_cdf.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import splu

from composer.studies.tabular import categorical
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.chains import Chain
from composer.studies.tabular.noises import Floats


class Moments(NamedTuple):
    """Mean and covariances of the random distribution functions."""

    mean: Floats
    """F, ``[n, k]``."""
    local: Floats
    """Covariance that the first successor alone brings, ``Cov_X'(H(x) F(X'))``, ``[n, k, k]``."""
    covariance: Floats
    """``Cov Phi(x)``, ``[n, k, k]``."""


def moments(chain: Chain, atoms: Atoms, tolerance: float = 1e-13) -> Moments:
    """Solve ``C(x) = local(x) + H(x) sum_y P(y|x) C(y) H(x)^T``; the trace of C is right to ``tolerance``.

    A sweep shrinks traces by the discount, as the projected step shrinks squared Cramér distances.
    """
    blocks, _ = categorical.cdf_operator(chain, atoms)
    mean, deviations = _deviations(chain, atoms)
    local = np.einsum("xy,xyi,xyj->xij", chain.transition, deviations, deviations)
    total, added, after = local, local, blocks.swapaxes(1, 2)
    while np.trace(added, axis1=1, axis2=2).max() > tolerance * (1 - chain.discount):
        added = blocks @ np.tensordot(chain.transition, added, 1) @ after
        total = total + added
    return Moments(mean, local, total)


def simulate(chain: Chain, atoms: Atoms, rng: np.random.Generator, count: int, cut: float = 1e-5) -> Floats:
    """Random distribution functions ``[n, count, k]``, each from a trajectory of its own.

    ``Phi = H(X_0) (H(X_1) (...) + c(X_1)) + c(X_0)``, until what remains is ``cut`` of the longest Cramér distance.
    """
    blocks, offsets = categorical.cdf_operator(chain, atoms)
    path = [np.repeat(np.arange(chain.states), count)]
    for _ in range(chain.horizon(cut * cut)):
        path.append(chain.successors(rng, path[-1]))
    found = np.full((len(path[0]), atoms.count - 1), 0.5)
    for states in reversed(path):
        for x in range(chain.states):
            here = states == x
            found[here] = found[here] @ blocks[x].T + offsets[x]
    return found.reshape(chain.states, count, -1)


def variation(covariance: Floats, atoms: Atoms) -> Floats:
    """Mean squared Cramér distance of a random distribution function from its mean, ``[...]``."""
    trace: Floats = atoms.spacing * np.trace(covariance, axis1=-2, axis2=-1)
    return trace


def bound(chain: Chain, local: Floats) -> Floats:
    """``(I - discount P)^-1 local``, ``[n]``, which no variation exceeds: a step shrinks it by the discount or more."""
    solved = np.linalg.solve(np.eye(chain.states) - chain.discount * chain.transition, local)
    return np.asarray(solved, np.float64)


def estimate_variance(chain: Chain, atoms: Atoms) -> Floats:
    """Variance of ``sqrt(N) (estimate - F)``, ``[n, k]``, of DCFP from N transitions of every state, as N grows.

    ``estimate - F = (I - M)^-1 (step with the frequencies - step with the probabilities) F`` to first order: the errors
    of single states, whose covariance is ``local / N``, add up along the chain.
    """
    blocks, _ = categorical.cdf_operator(chain, atoms)
    _, deviations = _deviations(chain, atoms)
    solve = splu(categorical.cdf_system(chain, blocks)).solve
    n, k = deviations.shape[1:]
    variance = np.zeros(n * k)
    for x in range(n):
        errors = np.zeros((n, k, n))
        errors[x] = (np.sqrt(chain.transition[x])[:, None] * deviations[x]).T
        variance += np.square(solve(errors.reshape(n * k, n))).sum(1)
    return variance.reshape(n, k)


def expected_distance(chain: Chain, atoms: Atoms, samples: int) -> Floats:
    """W1 of DCFP's estimate to its fixed point, ``[n]``, in expectation, if its errors are normal."""
    deviation = np.sqrt(estimate_variance(chain, atoms) / samples)
    distance: Floats = atoms.spacing * math.sqrt(2 / math.pi) * deviation.sum(-1)
    return distance


def _deviations(chain: Chain, atoms: Atoms) -> tuple[Floats, Floats]:
    """F ``[n, k]``, and ``H(x) F(y) + c(x) - F(x)`` for every pair of states, ``[n, n, k]``."""
    blocks, offsets = categorical.cdf_operator(chain, atoms)
    mean = categorical.fixed_point(chain, atoms).cumsum(1)[:, :-1]
    return mean, np.einsum("xij,yj->xyi", blocks, mean) + (offsets - mean)[:, None]
