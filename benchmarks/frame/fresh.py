"""Run a task in a new process: with another instruction set, or to measure its memory alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

INTERVAL = 0.001
"""Seconds between two calls of ``watch``."""


def in_fresh_process(
    script: str,
    task: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    watch: Callable[[int], None] | None = None,
) -> Any:
    """Run ``script --task JSON`` and return its last line of output, parsed as JSON. ``watch`` is
    called with the process id again and again while it runs.
    """
    process = subprocess.Popen(
        [sys.executable, script, "--task", json.dumps(task)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    while watch is not None and process.poll() is None:
        watch(process.pid)
        time.sleep(INTERVAL)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(
            f"the process for {dict(task)} ended with exit code {process.returncode}"
        )
    return json.loads(out.splitlines()[-1])
