"""Agreement of every backend with ``reference``, and the promises about threads, blocks and
precision.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ALL_BACKENDS
from mixtura.backends import NativeBackend, ReferenceBackend, backend_named, build_info
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense, Diagonal, Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.kernels import built
from mixtura.model.moments import Moments
from mixtura.sources import ArraySource

native = pytest.mark.skipif(not built, reason="built without a C++ compiler")
SHAPES = [(1, 1, 1), (127, 1, 3), (4097, 2, 3), (500, 5, 4), (300, 17, 2)]
FIELDS = ("counts", "first", "second", "log_likelihood", "entropy", "certainty")


def mixtures(d: int, K: int, offset: float = 0.0) -> list[Mixture]:
    """One mixture of each stored form, own and shared."""
    rng = np.random.default_rng(d * 100 + K)
    root = rng.standard_normal((K, d, d))
    dense = root @ root.transpose(0, 2, 1) + np.eye(d)
    forms = [
        Spherical(rng.uniform(0.5, 2, K), K, d),
        Diagonal(rng.uniform(0.5, 2, (K, d)), K),
        Dense(dense, K),
    ]
    shared = [Spherical(np.ones(1), K, d), Diagonal(np.ones((1, d)), K), Dense(dense[:1], K)]
    weights = rng.dirichlet(np.ones(K))
    return [Mixture(weights, offset + rng.standard_normal((K, d)), form) for form in forms + shared]


def differences(one: Moments, other: Moments) -> float:
    """Largest difference of two sets of moments, relative to the largest number in each field."""
    pairs = [(np.asarray(getattr(one, name)), np.asarray(getattr(other, name))) for name in FIELDS]
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in pairs)


@pytest.mark.parametrize("kind", list(Scatter), ids=lambda kind: kind.value)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@native
def test_native_moments_agree_with_reference(shape, weighted, dtype, kind):
    n, d, K = shape
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, d)).astype(dtype)
    weights = rng.integers(0, 4, n).astype(float) if weighted else None
    source = ArraySource(X, weights)
    for mixture in mixtures(d, K):
        # Both sum n terms of about equal size: n eps with room for the different order; exp is good
        # to 1e-15.
        assert differences(
            ReferenceBackend().moments(source, mixture, kind),
            NativeBackend(1).moments(source, mixture, kind),
        ) < 1e-12 * max(n, 10)


@native
def test_native_log_joint_agrees_with_reference():
    X = np.random.default_rng(0).standard_normal((300, 4))
    for mixture in mixtures(4, 3):
        block = next(ArraySource(X).blocks())
        np.testing.assert_allclose(
            NativeBackend(2).log_joint(block, mixture), mixture.log_joint(X), rtol=1e-13, atol=1e-12
        )


@pytest.mark.parametrize(
    "n", [1, 4095, 4096, 4097, 50_000, 400_000]
)  # the last is work for three threads
@native
def test_the_thread_count_never_changes_a_bit(n):
    X = np.random.default_rng(1).standard_normal((n, 3))
    for mixture in mixtures(3, 4):
        runs = [
            NativeBackend(threads).moments(ArraySource(X), mixture, Scatter.DENSE)
            for threads in (1, 2, 3, 7)
        ]
        assert all(
            np.array_equal(getattr(runs[0], name), getattr(run, name))
            for run in runs[1:]
            for name in FIELDS
        )


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_an_offset_of_the_data_costs_no_digits(name):
    X = np.random.default_rng(2).standard_normal((1000, 3))
    offset = (
        2.0**20
        # adding it to X rounds X by 2^-33 of a standard deviation; the sums must lose no more than
        # that
    )
    for near, far in zip(mixtures(3, 2), mixtures(3, 2, offset), strict=True):
        a = backend_named(name, 1).moments(ArraySource(X), near, Scatter.DENSE)
        b = backend_named(name, 1).moments(ArraySource(X + offset), far, Scatter.DENSE)
        np.testing.assert_allclose(a.scatter, b.scatter, rtol=1e-8, atol=1e-6)


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_shards_add_up_to_the_whole(name):
    X = np.random.default_rng(3).standard_normal((5000, 2))
    backend = backend_named(name, 1)
    for mixture in mixtures(2, 3):
        whole = backend.moments(ArraySource(X), mixture, Scatter.DENSE)
        parts = [
            backend.moments(ArraySource(part), mixture, Scatter.DENSE)
            for part in np.array_split(X, 7)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        assert differences(whole, total) < 1e-11


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_a_row_out_of_reach_is_shared_evenly_and_never_nan(name):
    X = np.array([[0.0, 0.0], [1e200, 1e200]])
    for mixture in mixtures(2, 2):
        with np.errstate(all="ignore"):
            moments = backend_named(name, 1).moments(ArraySource(X), mixture, Scatter.TRACE)
        assert np.isfinite(moments.counts).all()
        assert moments.counts.sum() == pytest.approx(2.0)


HERE = Path(__file__).parent
SCRIPT = """
import numpy as np
from test_backends import mixtures, differences
from mixtura.backends import NativeBackend, ReferenceBackend, build_info
from mixtura.base.scatter import Scatter
from mixtura.sources import ArraySource
X = np.random.default_rng(0).standard_normal((1000, 6))
backends = (ReferenceBackend(), NativeBackend(2))
for mixture in mixtures(6, 3):
    for kind in Scatter:
        moments = [backend.moments(ArraySource(X), mixture, kind) for backend in backends]
        assert differences(*moments) < 1e-10
print("isa", build_info()["isa"])
"""


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
@native
def test_every_instruction_set_agrees_with_reference(isa):
    if isa not in build_info()["built"]:
        pytest.skip(f"{isa} is not in this build")
    env = dict(
        os.environ, MIXTURA_ISA=isa, PYTHONPATH=os.pathsep.join([str(HERE), str(HERE.parent)])
    )
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=120
    )
    if "does not run on this processor" in run.stderr:
        pytest.skip(f"{isa} does not run here")
    assert run.stdout.strip() == f"isa {isa}", run.stderr


@native
def test_an_unknown_instruction_set_is_refused_by_name():
    env = dict(os.environ, MIXTURA_ISA="mmx")
    run = subprocess.run(
        [sys.executable, "-c", "import mixtura.kernels._native"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode != 0
    assert "mmx" in run.stderr
    assert "baseline" in run.stderr


@native
def test_an_instruction_set_that_is_not_there_is_an_error_and_no_reason_to_go_without_the_kernels():
    env = dict(os.environ, MIXTURA_ISA="mmx")
    run = subprocess.run(
        [sys.executable, "-c", "from mixtura import build_info; build_info()"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode != 0
    assert "MIXTURA_ISA=mmx" in run.stderr


def test_without_the_extension_it_runs_on_reference_and_says_so_once():
    script = (
        "import sys, warnings; sys.modules['mixtura.kernels._native'] = None\n"
        "import numpy as np\nfrom mixtura import GaussianMixture, build_info\n"
        "X = np.random.default_rng(0).standard_normal((50, 2))\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for _ in range(3): GaussianMixture(1).fit(X)\n"
        "said = [str(w.message) for w in seen if w.category.__name__ == 'BackendWarning']\n"
        "print(len(said), 'g++' in said[0], build_info()['backend'])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert run.stdout.split() == ["1", "True", "reference"], run.stderr


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'auto', 'native' or 'reference'"):
        backend_named("cuda")
