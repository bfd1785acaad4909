"""Facts about the machine that are printed with every result, and its measured limit."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from mixtura import build_info
from mixtura.backends import processors

PEERS = ("numpy", "scipy", "scikit-learn", "scikit-learn-intelex")


# ---- facts ---------------------------------------------------------------------------------------


def facts() -> list[str]:
    """Processor, instruction set, versions and date, without host name or paths."""
    native = build_info()
    blas = {
        f"{pool['internal_api']} {pool['version']}"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return [
        f"{_processor()}, {processors()} processors, {memory() / 2**30:.0f} GB",
        f"instruction set {native.get('isa', 'none')}, {native.get('compiler', 'no compiler')}, "
        f"{platform.system()}",
        ", ".join([f"Python {platform.python_version()}", *map(_versioned, PEERS), *sorted(blas)]),
        f"{datetime.date.today()}, load before the run {os.getloadavg()[0]:.1f}",
    ]


def memory() -> int:
    """Bytes of memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    """The model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def status(name: str, process: str | int = "self") -> float:
    """A field of /proc/PROCESS/status in megabytes; NaN once the process has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), float("nan")
    )


# ---- the limit -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MatrixProduct:
    """A product of square matrices by NumPy's BLAS, timed along with the contenders: its rate gives
    the limit of an EM iteration.

    One "iteration" of it is one product.
    """

    side: int
    dtype: type = np.float64

    def __call__(self, iterations: int) -> int:
        """Multiply this many times; returns the number."""
        A = self._matrix
        for _ in range(iterations):
            A @ A
        return iterations

    @cached_property
    def _matrix(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((self.side, self.side)).astype(self.dtype)

    def rate(self, seconds: float) -> float:
        """Flops per second, if one product takes this many seconds."""
        return 2 * self.side**3 / seconds

    def limit(self, n: int, d: int, K: int, seconds: float) -> float:
        """Seconds of one EM iteration with full covariances at the rate of the product."""
        return flops(n, d, K) / self.rate(seconds)


def flops(n: int, d: int, K: int) -> float:
    """Flops of one EM iteration with full covariances, counted as two matrix products: ``4 n K P``
    with ``P = 1 + d + d(d+1)/2``.
    """
    return 4.0 * n * K * (1 + d + d * (d + 1) / 2)


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Limit the threads of BLAS, OpenMP and oneDAL (for good); mixtura has an argument for it."""
    try:
        import daal4py

        daal4py.daalinit(threads)
    except ImportError:
        pass
    with threadpool_limits(threads):
        yield
