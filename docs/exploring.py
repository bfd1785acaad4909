"""How fluid `mixtura explore` is on many rows: prints the table that is in exploring.md.

    .venv/bin/python docs/exploring.py [rows]

A headless Chromium opens the page on three overlapping Gaussians in two columns and plays plain EM
with K = 3 as fast as it goes; then it moves the picture and the threshold. Iterations are counted
by what the page shows, pictures by how often it was painted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browsing import browser, page_of
from mixtura.explorer.app import explorer_app
from mixtura.explorer.table import OpenedTable
from serving import running

PLAYED = """async () => {
  const shown = () => Number(document.getElementById('frame').value);
  const begun = performance.now(), first = shown();
  await new Promise((done) => setTimeout(done, 4000));
  return (shown() - first) / (performance.now() - begun) * 1000;
}"""
MOVED = """async (move) => {
  const canvas = document.querySelector('#scatter canvas');
  const slider = document.getElementById('threshold');
  const press = (key) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key }));
  const moves = {
    pan: (i) => press(i % 2 ? 'ArrowLeft' : 'ArrowRight'),
    zoom: (i) => press(i % 20 < 10 ? '+' : '-'),
    threshold: (i) => { slider.value = 50 + (i % 50); slider.dispatchEvent(new Event('input')); },
  };
  const times = 60, begun = performance.now();
  for (let i = 0; i < times; i++) {
    moves[move](i);
    // The browser paints the picture between the frame and the timeout.
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return times / (performance.now() - begun) * 1000;
}"""


def rows(n: int) -> np.ndarray:
    """Three overlapping Gaussians, so that EM takes its time."""
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 1.0, (n, 2)) + rng.integers(0, 3, (n, 1)) * np.array([2.0, 1.0])


def measured(n: int) -> dict[str, float]:
    """Iterations a second while it plays, and pictures a second while something is moved."""
    opened = OpenedTable(rows(n), ("a", "b"), "large.csv")
    with (
        browser() as chrome,
        running(explorer_app(opened)) as server,
        page_of(chrome, server) as page,
    ):
        page.wait_for_selector("html[data-ready=yes]", timeout=300_000)
        page.fill("#components", "3")
        page.dispatch_event("#components", "change")
        page.wait_for_function(
            "() => document.getElementById('status').textContent.startsWith('K = 3')",
            timeout=120_000,
        )
        page.select_option("#pace", "0")
        page.click("#play")
        page.wait_for_function(
            "() => Number(document.getElementById('frame').value) >= 3", timeout=120_000
        )
        found = {"iterations while it plays": page.evaluate(PLAYED)}
        if page.inner_text("#play") == "Pause":
            page.click("#play")
        page.wait_for_timeout(500)
        return found | {move: page.evaluate(MOVED, move) for move in ("pan", "zoom", "threshold")}


if __name__ == "__main__":
    for what, rate in measured(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000).items():
        print(f"| {what} | {rate:.0f} |")
