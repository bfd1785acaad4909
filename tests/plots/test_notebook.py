"""The widget in a real notebook: JupyterLab on 127.0.0.1, driven by Chromium. Skipped where
JupyterLab is not installed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

pytest.importorskip(
    "jupyterlab", reason="JupyterLab is not installed; CONTRIBUTING says how to run this test"
)
pytest.importorskip("anywidget", reason="the extra 'notebook' is not installed")

from browsing import browser
from mixtura import GaussianMixture
from mixtura.inputs.reading import read_table

pytestmark = pytest.mark.slow

FAITHFUL = Path(__file__).parents[2] / "examples" / "old_faithful.csv"
SOURCE = Path(__file__).parents[2] / "src"

CELLS = (
    f"""from mixtura import GaussianMixture
from mixtura.inputs.reading import read_table
from mixtura.plots.widget import scatter
X, names, _ = read_table({str(FAITHFUL)!r}).numeric()
model = GaussianMixture(2, random_state=0).fit(X)
view = scatter(model, X, columns=names, threshold=0.9)
view""",
    "print('selected', view.selected, 'threshold', view.threshold)",
)


def notebook() -> str:
    empty: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    cells = [{**empty, "id": f"cell{i}", "source": source} for i, source in enumerate(CELLS)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps(
        {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """The address of the notebook in a JupyterLab that keeps all it writes in one folder."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "widget.ipynb").write_text(notebook(), encoding="utf-8")
    port, token = free_port(), secrets.token_hex(16)
    names = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "IPYTHONDIR",
        "JUPYTERLAB_SETTINGS_DIR",
    )
    homes = {name: str(folder / name.lower()) for name in (*names, "JUPYTERLAB_WORKSPACES_DIR")}
    path = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        f"--IdentityProvider.token={token}",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
    environment = {**os.environ, **homes, "PYTHONPATH": path}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/api?token={token}", process, folder / "log.txt")
        yield f"http://127.0.0.1:{port}/lab/tree/widget.ipynb?token={token}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for_answer(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            urlopen(address).close()
        except URLError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def page(lab) -> Iterator[Any]:
    with browser() as chrome:
        page = chrome.new_page(viewport={"width": 1200, "height": 1300})
        page.goto(lab, timeout=120_000)
        page.locator(".jp-CodeCell").first.click(timeout=120_000)
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=120_000)
        page.keyboard.press("Shift+Enter")
        page.locator(".mixtura-scatter").wait_for(timeout=120_000)
        yield page


def read_back(page: Any) -> str:
    """What Python sees: the second cell is run again."""
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(1500)
    return str(cell.locator(".jp-OutputArea-output").inner_text())


def test_a_click_in_the_notebook_shows_bars_and_reaches_python(page):
    X = read_table(FAITHFUL).numeric()[0]
    canvas = page.locator(".mixtura-scatter")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    sight = np.array(canvas.get_attribute("data-view").split(), dtype=float).reshape(2, 2)
    u, v = ((X[0] - X.min(axis=0)) / np.ptp(X, axis=0) - sight[:, 0]) / np.ptp(sight, axis=1)
    page.mouse.click(
        box["x"] + 58 + u * (box["width"] - 68), box["y"] + 8 + (1 - v) * (box["height"] - 52)
    )
    page.locator(".mixtura-panel li").first.wait_for()
    row = int(re.search(r"Row [\d,]+, X\[(\d+)\]", page.inner_text(".mixtura-panel"))[1])
    np.testing.assert_allclose(X[row], X[0])
    shares = GaussianMixture(2, random_state=0).fit(X).predict_proba(X)[row]
    shown = [
        float(re.search(r"([\d.]+) %", bar)[1])
        for bar in page.locator(".mixtura-panel li").all_inner_texts()
    ]
    assert shown == pytest.approx((100 * shares).tolist(), abs=0.06)
    if folder := os.environ.get("MIXTURA_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "notebook.png"))
    assert f"selected {row} threshold 0.9" in read_back(page)


def test_the_slider_in_the_notebook_reaches_python(page):
    page.locator(".mixtura-panel input[type=range]").fill("50")
    assert "0 of 272 points are unsure" in page.inner_text(".mixtura-panel")
    assert "threshold 0.5" in read_back(page)
