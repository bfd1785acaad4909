"""Facts about the machine that a figure means nothing without, and its measured limit."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from mixtura import build_info
from mixtura.backends import processors

GEMM_SIDE = 2000
PEERS = ("numpy", "scipy", "scikit-learn", "scikit-learn-intelex")


# ---- facts ---------------------------------------------------------------------------------------------------------


def facts() -> list[str]:
    """Processor, instruction set, versions and date; no name of the machine and no path."""
    native = build_info()
    blas = {f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"}
    return [
        f"{_processor()}, {processors()} processors, {memory() / 2**30:.0f} GB",
        f"instruction set {native.get('isa', 'none')}, {native.get('compiler', 'no compiler')}, {platform.system()}",
        ", ".join([f"Python {platform.python_version()}", *map(_versioned, PEERS), *sorted(blas)]),
        f"{datetime.date.today()}, load before the run {os.getloadavg()[0]:.1f}",
    ]


def memory() -> int:
    """Bytes that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    """The maker's name of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def status(name: str, process: str | int = "self") -> float:
    """A size of a process in megabytes, from the kernel; NaN once it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), float("nan"))


# ---- the limit -----------------------------------------------------------------------------------------------------


def gemm_rate(threads: int, repeats: int, dtype: type = np.float64) -> float:
    """Flops per second of a square product on so many threads, the best of the repeats."""
    A = np.random.default_rng(0).standard_normal((GEMM_SIDE, GEMM_SIDE)).astype(dtype)
    best = float("inf")
    with threadpool_limits(threads, user_api="blas"):
        for _ in range(repeats):
            begin = time.perf_counter()
            A @ A
            best = min(best, time.perf_counter() - begin)
    return 2 * GEMM_SIDE**3 / best


def flops(n: int, d: int, K: int) -> float:
    """Of one EM iteration with full covariances, were it two matrix products: ``4 n K P`` with ``P = 1 + d + d(d+1)/2``."""
    return 4.0 * n * K * (1 + d + d * (d + 1) / 2)


@contextmanager
def threads_of_everybody(threads: int) -> Iterator[None]:
    """BLAS, OpenMP and oneDAL on so many threads; mixtura is told by argument."""
    try:
        import daal4py

        daal4py.daalinit(threads)
    except ImportError:
        pass
    with threadpool_limits(threads):
        yield
