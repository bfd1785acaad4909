"""Work in a process of its own: another instruction set, or memory that nothing else has
touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

EVERY = 0.001
"""Seconds between two looks at a process that is watched."""


def in_fresh_process(
    script: str,
    task: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    watch: Callable[[int], None] | None = None,
) -> Any:
    """What ``script --task JSON`` prints as its last line, from JSON; ``watch`` is called with its
    number while it runs.
    """
    process = subprocess.Popen(
        [sys.executable, script, "--task", json.dumps(task)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    while watch is not None and process.poll() is None:
        watch(process.pid)
        time.sleep(EVERY)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the process for {dict(task)} ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])
