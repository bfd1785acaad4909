"""The words that parameters take, as types: a checker finds ``covariance_type="fulll"``.

The tables that give these words a meaning stand where it is (``families``, ``model.criteria``,
``backends``, ``initialise``); a test holds both against each other.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

FamilyName: TypeAlias = Literal[
    "EII",
    "VII",
    "EEI",
    "VEI",
    "EVI",
    "VVI",
    "EEE",
    "VEE",
    "EVE",
    "VVE",
    "EEV",
    "VEV",
    "EVV",
    "VVV",
]
"""mclust's three letters: volume, shape, orientation."""

CovarianceType: TypeAlias = (
    FamilyName
    | Literal["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical", "E", "V"]
)
"""A family by its letters (E and V are mclust's for one column) or by scikit-learn's word."""

CriterionName: TypeAlias = Literal[
    "bic", "aic", "icl", "icl_entropy", "aicc", "sabic", "clc", "awe", "entropy", "nec", "cv"
]
"""What a selection can choose by."""

InitParams: TypeAlias = Literal[
    "auto", "hierarchical", "kmeans", "k-means++", "random", "random_from_data"
]
"""A kind of start by name."""

DegreesOfFreedom: TypeAlias = Literal["free", "equal"]
"""Estimated degrees of freedom: one for each component, or one for all."""

ComponentLaw: TypeAlias = Literal["gaussian", "t", "both"]
"""The components whose families a selection compares."""

BackendName: TypeAlias = Literal["auto", "native", "reference"]
Acceleration: TypeAlias = Literal["auto", "squarem"]
ComponentOrder: TypeAlias = Literal["weight"] | int | str
"""By falling weight, or by the means of a column with this number or name."""

SampleSize: TypeAlias = Literal["total", "effective"]
