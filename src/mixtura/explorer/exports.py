"""What a person takes home from the page: memberships, the model file, and the Python that makes
the view again.
"""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.numbering import column_name, row_numbers
from mixtura.estimators.model_file import save_model
from mixtura.explorer.opened import Opened
from mixtura.explorer.runs import Run
from mixtura.inputs.tables import write_rows
from mixtura.model.criteria import aic, bic
from mixtura.model.mixture import Mixture


def memberships_csv(opened: Opened, mixture: Mixture, threshold: float) -> bytes:
    """One line for each row of the table: its cluster, all memberships, and whether it is unsure at
    this threshold.
    """
    stream = io.StringIO(newline="")
    write_rows(stream, _columns(mixture.posterior(opened.X), threshold))
    return stream.getvalue().encode()


def _columns(shares: Array, threshold: float) -> dict[str, np.ndarray]:
    """Rows count from 1 as in the file."""
    largest = shares.max(axis=1)
    return {
        "row": np.array(row_numbers(len(shares))),
        "cluster": shares.argmax(axis=1),
        **{column_name("probability", k): values for k, values in enumerate(shares.T)},
        "unsure": (largest < threshold).astype(np.intp),
    }


def model_bytes(opened: Opened, run: Run, frame: int) -> bytes:
    """The model file of one frame, as ``mixtura predict`` reads it."""
    last = frame == len(run.frames) - 1
    metadata = {
        "n_rows": len(opened.X),
        "random_state": run.settings.seed,
        "start": run.settings.start or "the best of several",
        "iteration": frame,
        "stopped": run.fit.stop.value if last else "shown before it ended",
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
            feature_names=opened.names,
            metadata=metadata,
        )
        return path.read_bytes()


def python_text(
    opened: Opened, run: Run, frame: int, columns: tuple[int, int], threshold: float
) -> str:
    """A script that fits the same model to the same file, prints what the page shows, and draws the
    view.
    """
    settings = run.settings
    arguments = ", ".join(
        f"{name}={value!r}"
        for name, value in settings.arguments(frame if settings.start else None).items()
    )
    shown = [opened.names[0]] if opened.is_line else [opened.names[j] for j in columns]
    what = f"iteration {frame} of EM" if settings.start else "the model"
    return SCRIPT.format(
        what=what,
        K=settings.n_components,
        family=settings.family,
        data=opened.file_name,
        columns=list(opened.names),
        arguments=arguments,
        threshold=threshold,
        shown=shown,
    )


SCRIPT = '''"""Makes a view of mixtura explore again: {what} with K={K} and family {family}.

python view.py [DATA] [--force] prints what the page shows, and writes view.png and memberships.csv.
"""

import sys
import warnings
from pathlib import Path

from mixtura import GaussianMixture
from mixtura.plots import plot_mixture, save
from mixtura.inputs.tables import read_table, refuse_to_overwrite, write_csv

force = "--force" in sys.argv
named = [argument for argument in sys.argv[1:] if argument != "--force"]
data = named[0] if named else {data!r}
refuse_to_overwrite([Path("view.png"), Path("memberships.csv")], force)

X, names, _ = read_table(data).numeric({columns!r})
model = GaussianMixture({K}, {arguments})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the page showed this state, whether EM had converged or not
    model.fit(X)

shares = model.predict_proba(X)
columns = {{f"probability_{{k}}": column for k, column in enumerate(shares.T)}}
unsure = shares.max(axis=1) < {threshold}
print(f"log-likelihood {{model.result_.log_likelihood:.3f}}")
print(f"AIC {{model.aic(X):.3f}}, BIC {{model.bic(X):.3f}} (lower is better)")
print(f"{{unsure.sum()}} of {{len(X)}} rows are unsure: no cluster has {threshold:.0%} of them")

save(plot_mixture(model.mixture_, X, columns=names, shown={shown!r}), "view.png")
write_csv("memberships.csv", {{"cluster": shares.argmax(axis=1), **columns}})
'''
