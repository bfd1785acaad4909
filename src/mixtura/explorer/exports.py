"""The downloads of the page: memberships, the model file, and Python code for the view."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.numbering import column_name, row_numbers
from mixtura.distribution.mixture import Mixture
from mixtura.estimators.model_file import save_model
from mixtura.explorer.runs import RecordedRun
from mixtura.explorer.table import OpenedTable
from mixtura.inputs.reading import reading_code
from mixtura.inputs.writing import write_rows
from mixtura.model.criteria import aic, bic


def memberships_csv(table: OpenedTable, mixture: Mixture, threshold: float) -> bytes:
    """One line for each row: its cluster, all memberships, and whether it is unsure."""
    stream = io.StringIO(newline="")
    write_rows(stream, _columns(mixture.posterior(table.X), threshold))
    return stream.getvalue().encode()


def _columns(shares: Array, threshold: float) -> dict[str, np.ndarray]:
    """The columns of the file, with rows counted from 1."""
    largest = shares.max(axis=1)
    return {
        "row": np.array(row_numbers(len(shares))),
        "cluster": shares.argmax(axis=1),
        **{column_name("probability", k): values for k, values in enumerate(shares.T)},
        "unsure": (largest < threshold).astype(np.intp),
    }


def model_bytes(table: OpenedTable, run: RecordedRun, frame: int) -> bytes:
    """The model file of one frame, as ``mixtura predict`` reads it."""
    last = frame == len(run.frames) - 1
    metadata = {
        "n_rows": len(table.X),
        "random_state": run.settings.seed,
        "start": run.settings.start or "the best of several",
        "iteration": frame,
        "stopped": run.fit.stop.value if last else "an iteration before the end",
        **(
            {"aic": aic(run.fit), "bic": bic(run.fit), "log_likelihood": run.fit.log_likelihood}
            if last
            else {}
        ),
    }
    with TemporaryDirectory(prefix="mixtura-") as folder:
        path = Path(folder) / "model.safetensors"
        save_model(
            path,
            run.frames[frame],
            family=run.settings.family,
            feature_names=table.names,
            metadata=metadata,
        )
        return path.read_bytes()


def python_text(
    table: OpenedTable, run: RecordedRun, frame: int, columns: tuple[int, int], threshold: float
) -> str:
    """A script that fits the same model to the same file, prints the numbers of the page, and draws
    the view.
    """
    settings = run.settings
    arguments = ", ".join(
        f"{name}={value!r}"
        for name, value in settings.arguments(frame if settings.start else None).items()
    )
    shown = [table.names[0]] if table.is_line else [table.names[j] for j in columns]
    what = f"iteration {frame} of EM" if settings.start else "the model"
    return SCRIPT.format(
        what=what,
        K=settings.n_components,
        family=settings.family,
        data=table.file_name,
        columns=list(table.names),
        reading=reading_code(table.reading),
        arguments=arguments,
        threshold=threshold,
        shown=shown,
    )


SCRIPT = '''"""Reproduces a view of mixtura explore: {what} with K={K} and family {family}.

python view.py [DATA] [--force] prints the numbers of the page, and writes view.png and
memberships.csv.
"""

import sys
import warnings
from pathlib import Path

from mixtura import GaussianMixture
from mixtura.plots import plot_mixture, save
from mixtura.inputs.reading import Reading, read_table
from mixtura.inputs.writing import refuse_to_overwrite, write_csv

force = "--force" in sys.argv
named = [argument for argument in sys.argv[1:] if argument != "--force"]
data = named[0] if named else {data!r}
refuse_to_overwrite([Path("view.png"), Path("memberships.csv")], force)

X, names, _ = read_table(data{reading}).numeric({columns!r})
model = GaussianMixture({K}, {arguments})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the page may show an iteration before convergence
    model.fit(X)

shares = model.predict_proba(X)
columns = {{f"probability_{{k}}": column for k, column in enumerate(shares.T)}}
unsure = shares.max(axis=1) < {threshold}
print(f"log-likelihood {{model.result_.log_likelihood:.3f}}")
print(f"AIC {{model.aic(X):.3f}}, BIC {{model.bic(X):.3f}} (lower is better)")
below = "their largest membership is below {threshold:.0%}"
print(f"{{unsure.sum()}} of {{len(X)}} rows are unsure: {{below}}")

save(plot_mixture(model.mixture_, X, columns=names, shown={shown!r}), "view.png")
write_csv("memberships.csv", {{"cluster": shares.argmax(axis=1), **columns}})
'''
