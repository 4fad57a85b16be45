"""Categorical return distributions at evenly spaced atoms: projection, dynamic programming, TD, DCFP.

Sources: C51, arXiv:1707.06887 (projection); Rowland et al., arXiv:1802.08163 (categorical dynamic programming and TD);
Rowland et al., arXiv:2402.07598 (categorical CDF Bellman equation, direct categorical fixed point).
Legend: n states, m atoms z, h_i the hat function around z_i. Tests: tests/studies/tabular/test_categorical.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from composer.studies.tabular.chains import Chain, Indices
from composer.studies.tabular.distances import Distribution
from composer.studies.tabular.noises import Floats


@dataclass(frozen=True)
class Atoms:
    """Evenly spaced returns from ``low`` to ``high``, both included."""

    low: float
    high: float
    count: int

    def __post_init__(self) -> None:
        if self.count < 2 or not self.low < self.high:
            raise ValueError(f"atoms need two or more and rising ends, got {self}")

    @classmethod
    def covering(cls, chain: Chain, count: int) -> Atoms:
        """From the lowest to the highest return of a chain; only unbounded noise is clipped."""
        return cls(*chain.bounds(), count)

    @property
    def points(self) -> Floats:
        """z, ``[m]``."""
        return np.linspace(self.low, self.high, self.count)

    @property
    def spacing(self) -> float:
        """Distance of neighbouring atoms."""
        return (self.high - self.low) / (self.count - 1)

    def distribution(self, probabilities: Floats) -> Distribution:
        """The distribution with probabilities ``[..., m]`` at these atoms."""
        return Distribution(self.points, probabilities)


def project(points: Floats, probabilities: Floats, atoms: Atoms) -> Floats:
    """Project probabilities of points ``[..., k]`` on their two neighbouring atoms, ``[..., m]``; clipped at the ends.

    It preserves mass, and the mean where nothing is clipped. Eq. 7, arXiv:1707.06887.
    """
    position = (np.clip(points, atoms.low, atoms.high) - atoms.low) / atoms.spacing
    hats = np.maximum(1 - np.abs(position[..., None, :] - np.arange(atoms.count)[:, None]), 0)
    shares: Floats = (hats * probabilities[..., None, :]).sum(-1)
    return shares


def dynamic_programming(
    chain: Chain, atoms: Atoms, tolerance: float = 1e-12, limit: float = math.inf
) -> tuple[Floats, int]:
    """Probabilities ``[n, m]`` after sweeps of backup and projection, from uniform ones, and the number of sweeps.

    It ends when no probability changes by more than ``tolerance``, or after ``limit`` sweeps. A sweep contracts the
    Cramér distance to the fixed point by the square root of the discount.
    """
    backup = _operator(chain, _hats(chain, atoms))
    current = np.full(chain.states * atoms.count, 1 / atoms.count)
    sweeps, moved = 0, math.inf
    while moved > tolerance and sweeps < limit:
        following = backup @ current
        moved, current, sweeps = float(np.abs(following - current).max()), following, sweeps + 1
    return current.reshape(chain.states, atoms.count), sweeps


def fixed_point(chain: Chain, atoms: Atoms) -> Floats:
    """DCFP: the fixed point ``[n, m]`` of dynamic programming by one sparse linear solve.

    ``F_i(x) = sum_y P(y|x) sum_j H_ij(x) F_j(y)`` with ``F_m = 1``,
    ``H_ij(x) = sum_{l<=i} E[h_l(R + discount z_j) - h_l(R + discount z_{j+1})]`` and ``h(. z_{m+1}) = 0``.
    """
    blocks, offsets = cdf_operator(chain, atoms)
    cdf = spsolve(cdf_system(chain, blocks), offsets.ravel()).reshape(offsets.shape)
    return np.diff(cdf, axis=1, prepend=0.0, append=1.0)


def cdf_operator(chain: Chain, atoms: Atoms) -> tuple[Floats, Floats]:
    """What a step from x does to the first m - 1 values of F: ``H(x) F + c(x)``.

    H is ``[n, m - 1, m - 1]``, c ``[n, m - 1]``; ``F_m = 1`` is in c. F is the next state's. Noise is averaged over.
    """
    ramps = _ramps(chain, atoms)
    return ramps[:, :, :-1] - ramps[:, :, 1:], ramps[:, :, -1]


def cdf_system(chain: Chain, blocks: Floats) -> sparse.csc_array:
    """``I - M``, ``[n (m - 1), n (m - 1)]``: ``(M F)(x) = H(x) sum_y P(y|x) F(y)``, with H from ``cdf_operator``."""
    inner = _operator(chain, blocks)
    return sparse.eye_array(inner.shape[0], format="csc") - inner


def update(
    cdf: Floats, rewards: Floats, successors: Indices, discount: float, atoms: Atoms, rate: Floats | float
) -> Floats:
    """Categorical TD of every state of every run after one transition, on the distribution function F.

    ``F(x) += rate (projection of R + discount Z(Y) - F(x))``; F is linear in the probabilities, so they learn alike.

    Args:
        cdf: ``[S, n, m]``, F at the atoms; the last is one.
        rewards: ``[S, n]``.
        successors: ``[S, n]``.
        discount: The chain's, above zero.
        atoms: The m atoms.
        rate: A number, or an array that broadcasts to ``cdf``.
    """
    after = np.take_along_axis(cdf, successors[..., None], axis=-2)
    learned: Floats = cdf + rate * (_target(after, rewards, discount, atoms) - cdf)
    return learned


def _target(cdf: Floats, rewards: Floats, discount: float, atoms: Atoms) -> Floats:
    """F of the projected ``reward + discount Z``: at z_i the mean of the unprojected F over the cell above z_i.

    The mean is a difference of ``G(t) = E max(t - Z, 0)``, which is linear between atoms: m look-ups, no m x m hats.
    """
    integral = np.concatenate([np.zeros_like(cdf[..., :1]), cdf[..., :-1].cumsum(-1) * atoms.spacing], axis=-1)
    shifted_atoms = (atoms.points - rewards[..., None]) / discount
    position = (shifted_atoms - atoms.low) / atoms.spacing
    cell = np.clip(np.floor(position).astype(np.int64), 0, atoms.count - 1)
    # G is zero below the first atom and has slope one, which is F, above the last.
    rise = np.maximum(position - cell, 0) * atoms.spacing * np.take_along_axis(cdf, cell, -1)
    shifted = discount * (np.take_along_axis(integral, cell, -1) + rise)
    return np.concatenate([np.diff(shifted) / atoms.spacing, np.ones_like(cdf[..., :1])], axis=-1)


def _ramps(chain: Chain, atoms: Atoms) -> Floats:
    """``[n, m - 1, m]``: share of the mass from atom j in state x that a backup moves to atom i or below."""
    z, scale = atoms.points, chain.scale
    edge = z[1:, None] - chain.rewards[:, None, None] - chain.discount * z
    return chain.noise.ramp(edge / scale, atoms.spacing / scale)


def _hats(chain: Chain, atoms: Atoms) -> Floats:
    """``[n, m, m]``: the share that it moves to atom i, ``E h_i(R + discount z_j)``."""
    edges = np.zeros((chain.states, 1, atoms.count))
    return np.diff(np.concatenate([edges, _ramps(chain, atoms), edges + 1], axis=1), axis=1)


def _operator(chain: Chain, blocks: Floats) -> sparse.csc_array:
    """``[n a, n a]``: block (x, y) is ``P(y|x) blocks[x]``; mostly zeros where rewards are not random."""
    rows = [
        sparse.kron(sparse.csr_array(chain.transition[x : x + 1]), sparse.csr_array(blocks[x]))
        for x in range(chain.states)
    ]
    return sparse.csc_array(sparse.vstack(rows))
