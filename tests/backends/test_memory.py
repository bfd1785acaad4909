"""Passes over incomplete rows in too little memory: an error, or the answer, and no signal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mixtura.backends import NativeBackend
from mixtura.base.scatter import Scatter
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.kernels import built
from mixtura.model.observation import Observation
from mixtura.sources import ArraySource

STEP, MOST = 2**19, 2**24  # bytes of room: a part of what one worker takes, and enough for all
STACK = 2**20  # bytes of a thread's stack, so that threads start before there is room for all else
END = "came to its end"


def passes(knowledge: str) -> dict[str, Callable[[], np.ndarray]]:
    """Each pass, over rows that are completed one by one ("holes") or have errors ("errors")."""
    rng = np.random.default_rng(0)
    n, d, K = 24, 40, 24
    root = rng.standard_normal((K, d, d)) / d
    covariance = Dense(root @ root.transpose(0, 2, 1) + np.eye(d), K)
    mixture = Mixture(np.full(K, 1 / K), rng.standard_normal((K, d)), covariance)
    X = rng.standard_normal((n, d))
    X[rng.random((n, d)) < 0.5] = np.nan
    errors = np.full(n, 0.1) if knowledge == "errors" else None
    source, backend = ArraySource(X, None, Observation.of(X, errors)), NativeBackend(4)
    (block,) = source.blocks()
    shares = np.full((n, K), 1 / K)
    return {
        "moments": lambda: backend.moments(source, mixture, Scatter.DENSE).second,
        "log_joint": lambda: backend.log_joint(block, mixture),
        "completed": lambda: backend.completed(block, mixture, shares),
    }


def with_room(work: Callable[[], np.ndarray], room: int) -> np.ndarray | None:
    """What `work` gives with so many bytes above those in use; None where they do not suffice."""
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + room, hard))
    try:
        return work()
    except MemoryError:
        return None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def check(work: Callable[[], np.ndarray]) -> None:
    """An error where there is no room, the answer where there is much, one of both between."""
    found = [with_room(work, room) for room in range(0, MOST, STEP)]
    answer = work()
    assert found[0] is None
    assert found[-1] is not None
    assert all(some is None or np.array_equal(some, answer) for some in found)


def main() -> None:
    """Each pass in a process of its own, whose memory no other has had."""
    for knowledge in ("holes", "errors"):
        for name, work in passes(knowledge).items():
            child = os.fork()
            if not child:
                check(work)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status:
                sys.exit(f"{name} of rows with {knowledge}: status {status}")
    print(END)


def small_stacks() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))


@pytest.mark.skipif(not built, reason="built without a C++ compiler")
@pytest.mark.skipif(sys.platform != "linux", reason="a limit of memory, as Linux has it")
def test_a_pass_without_memory_ends_in_a_memory_error():
    # With a fixed threshold large arrays go back to the system, so a room is what it says.
    env = dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", OPENBLAS_NUM_THREADS="1")
    command = [sys.executable, __file__]
    run = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=60, preexec_fn=small_stacks
    )
    assert (run.returncode, run.stdout) == (0, f"{END}\n"), run.stderr[-2000:]


if __name__ == "__main__":
    main()
