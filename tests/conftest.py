"""Fixtures and data of the tests: every family, every backend, samples of Gaussian groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mixtura.backends import backend_named
from mixtura.base.extension import extension
from mixtura.data.dataset import Dataset
from mixtura.families import FAMILIES
from mixtura.sources import ArraySource

TRUTH = Path(__file__).parent / "truth"
ALL_FAMILIES = list(FAMILIES)
ALL_BACKENDS = ["reference", *(["native"] if extension is not None else [])]


def read_data(name: str, columns: int | None = None) -> np.ndarray:
    """Numeric columns of a data set of tests/truth/data."""
    lines = (TRUTH / "data" / name).read_text().splitlines()
    wanted = columns or len(lines[1].split(","))
    return np.array([[float(value) for value in line.split(",")[:wanted]] for line in lines[1:]])


def read_truth(name: str) -> dict:
    return json.loads((TRUTH / name).read_text())


def dataset(
    X: np.ndarray, weights: np.ndarray | None = None, backend: str = "auto", n_threads: int = 1
) -> Dataset:
    return Dataset(ArraySource(np.ascontiguousarray(X), weights), backend_named(backend, n_threads))


@pytest.fixture(scope="session")
def faithful() -> np.ndarray:
    return read_data("faithful.csv")


@pytest.fixture(params=ALL_FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture(params=ALL_BACKENDS)
def backend(request) -> str:
    return request.param


def two_groups(n: int = 200, d: int = 2, apart: float = 6.0, seed: int = 0) -> np.ndarray:
    """The first half N(0, I), the second shifted by ``apart`` in every column."""
    X = np.random.default_rng(seed).standard_normal((n, d))
    X[n // 2 :] += apart
    return X


def three_round_clusters() -> np.ndarray:
    """100 rows about each of three far centres."""
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.normal(centre, 1.0, (100, 2)) for centre in ([0, 0], [8, 0], [4, 7])]
    )
