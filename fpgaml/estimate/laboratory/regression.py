"""Fit positive coefficients of a sum of terms, in the logarithm, robustly, and never far from a prior without reason.

    minimise  sum_i w_i |log(sum_j c_j x_ij / y_i)|  +  sum_j (log(c_j / prior_j) / sigma_j)^2 / 2 * scale,   c > 0

The absolute logarithm is symmetric (a factor 2 too much counts as a factor 2 too little) and stale rows do not pull.
The prior says what a term costs by what it is (an adder about one LUT a bit), so a term that the data hardly contain
keeps a sane value where least squares would give it zero or a thousand. Solved by Gauss-Newton with reweighting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Sample = tuple[Mapping[str, float], float, float]  # terms, value, weight

SIGMA = 0.5  # standard deviation of log(coefficient / prior): a factor of 1.6
SCALE = 0.3  # the typical |log error| of one repository
SOFT = 0.05  # below this error all errors are alike


def fit(
    samples: Sequence[Sample], prior: Mapping[str, float], sigma: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the coefficient of each term of `prior` that the `samples` (terms, value, weight) call for."""
    names = sorted(prior)
    kept = [(t, y, w) for t, y, w in samples if y > 0 and any(t.get(n, 0.0) > 0 for n in names)]
    start = np.log(np.array([prior[name] for name in names]))
    if not kept:
        return dict(prior)
    terms = np.array([[t.get(name, 0.0) for name in names] for t, _, _ in kept]) / np.array([[y] for _, y, _ in kept])
    weights = np.array([w for _, _, w in kept])
    spread = np.array([(sigma or {}).get(name, SIGMA) for name in names])
    found = _gauss_newton(terms, weights, start, SCALE / spread**2)
    return {name: round(float(value), 5) for name, value in zip(names, np.exp(found), strict=True)}


def _gauss_newton(terms: Array, weights: Array, start: Array, stiffness: Array) -> Array:
    theta = start.copy()
    for _ in range(60):
        parts = terms * np.exp(theta)
        total = parts.sum(axis=1)
        error = np.log(total)
        jacobian = parts / total[:, None]
        pull = weights / np.maximum(np.abs(error), SOFT)
        left = (jacobian * pull[:, None]).T @ jacobian + np.diag(stiffness) + 1e-6 * np.eye(len(theta))
        right = -(jacobian * pull[:, None]).T @ error - stiffness * (theta - start)
        step = np.clip(np.linalg.solve(left, right), -0.7, 0.7)
        theta = theta + step
        if np.abs(step).max() < 1e-5:
            break
    return theta
