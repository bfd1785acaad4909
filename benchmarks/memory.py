"""Peak memory beyond the data of a whole default fit at 1M x 2, K = 3, in a process of its own.

    python benchmarks/memory.py

The peak is the kernel's own account of the process (ru_maxrss) after the fit minus what it was with the data made and
everything imported and used once on a small sample, so that libraries do not count.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from mixtura import GaussianMixture


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the figures."""
    rng = np.random.default_rng(0)
    n, d, K = 1_000_000, 2, 3
    X = rng.standard_normal((n, d))
    X += 8.0 * (np.arange(n) % K)[:, None]
    GaussianMixture(K, random_state=0).fit(X[:3000])
    before = peak()
    begin = time.perf_counter()
    fit = GaussianMixture(K, random_state=0).fit(X)
    seconds = time.perf_counter() - begin
    print(
        f"{n} x {d}, K = {K}: data {X.nbytes / 2**20:.0f} MB, peak beyond the data {peak() - before:.0f} MB; "
        f"{seconds:.1f} s, {fit.stop_reason_}"
    )


if __name__ == "__main__":
    main()
