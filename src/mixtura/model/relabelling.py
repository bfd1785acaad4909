"""Renumbering of clusters to match those of another method, for equal colours in plots."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from mixtura.base.arrays import Labels


def relabelled(labels: Labels, like: Labels) -> Labels:
    """The same clusters, renumbered to share the most rows with those of ``like``.

    Clusters without a partner get numbers that ``like`` does not use, the largest cluster first.
    Labels below 0, such as -1 for noise, do not change.

    Examples
    --------
    >>> relabelled(np.array([1, 1, 0, -1, 2]), np.array([0, 0, 1, 1, 1])).tolist()
    [0, 0, 1, -1, 2]
    """
    own = np.arange(max(labels.max(), -1) + 1)
    theirs = np.arange(max(like.max(), -1) + 1)
    shared = np.zeros((len(own), len(theirs)), dtype=np.intp)
    inside = (labels >= 0) & (like >= 0)
    np.add.at(shared, (labels[inside], like[inside]), 1)
    rows, columns = linear_sum_assignment(-shared)
    left = np.setdiff1d(own, rows)
    left = left[
        np.argsort(-np.bincount(labels[labels >= 0], minlength=len(own))[left], kind="stable")
    ]
    number = np.zeros(max(len(own), 1), dtype=np.intp)
    number[rows], number[left] = columns, len(theirs) + np.arange(len(left))
    return np.where(labels < 0, labels, number[np.maximum(labels, 0)])
