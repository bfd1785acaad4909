"""The main job of an installed mixtura: `python release/main_job.py`, with the Python that has it.

The table of Old Faithful goes through the command line and through `GaussianMixture`, and the
package must have its kernels and its licences. Nothing outside the standard library is imported
before mixtura, so that the script runs in an environment that holds mixtura alone.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import files, version
from pathlib import Path

import mixtura

TABLE = Path(__file__).parents[1] / "examples" / "old_faithful.csv"
COMMAND = Path(sysconfig.get_path("scripts")) / "mixtura"


def run(*words: str) -> str:
    """What the command prints; its exit code must be 0."""
    done = subprocess.run([COMMAND, *words], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout


def main() -> None:
    """Run the job, and print one line when all of it holds."""
    assert Path(mixtura.__file__).is_relative_to(sysconfig.get_path("platlib")), mixtura.__file__
    assert mixtura.__version__ == version("mixtura") == run("--version").strip()
    native = mixtura.build_info()
    assert native["backend"] == "native", native
    installed = {file.name for file in files("mixtura") or ()}
    assert {"LICENSE", "nanobind-LICENSE.txt", "plotly-LICENSE.txt"} <= installed, installed

    assert "fit" in run("--help")
    with tempfile.TemporaryDirectory() as folder:
        run("fit", str(TABLE), "--seed", "0", "--output", folder, "--force")
        with (Path(folder) / "memberships.csv").open(newline="") as file:
            labels = [row["label"] for row in csv.DictReader(file)]
    assert len(labels) == 272, len(labels)

    with TABLE.open(newline="") as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    model = mixtura.GaussianMixture(2, random_state=0).fit(rows)
    assert abs(model.predict_proba(rows).sum() - 272) < 1e-9
    print(
        f"main job: mixtura {mixtura.__version__}, Python {sys.version.split()[0]}, "
        f"{native['isa']} kernels, {len(set(labels))} components"
    )


if __name__ == "__main__":
    main()
