"""Deliberately wrong classes, to show that the shim notices (not products of anybody)."""

import numpy as np
from sklearn.mixture._gaussian_mixture import GaussianMixture as _G


class GaussianMixture(_G):
    """same behaviour, different class object"""


class WrongBIC(_G):
    def bic(self, X):
        return super().bic(X) + 1000.0


class NotMonotone(_G):
    def score(self, X, y=None):
        return super().score(X) + np.random.default_rng().normal()


class NoSampleCheck(_G):
    def fit_predict(self, X, y=None):
        super().fit_predict(X, y)
        return np.zeros(len(X), int)


class OtherName(_G):
    """right behaviour under another name: error messages differ"""
