"""A mixture as the text of a Python module without imports beside math: ``score(row)``.

The numbers are written by ``repr``, which reads back bit for bit. The text holds whiteners: the
squared distance of a row is the sum of squares of ``W (x - mean)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mixtura.distribution.covariance import Dense, Diagonal
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import NOISE_LABEL
from mixtura.distribution.t_density import FARTHEST
from mixtura.exports.described import DescribedMixture, created_by

HEAD = '''"""{title}

score(row) is the label, the probabilities and the log density of a row.
"""

from math import {functions}

COLUMNS = {columns}
'''

FUNCTION = '''

def score(row):
    """The label, the probabilities{noise_words} and the log density of a row.

    The row has a number for each of COLUMNS, in their order, or is a mapping from their names. One
    with a value that is missing or not finite has no answer: (None, None, None).{label_words}
    """
    if hasattr(row, "keys"):
        row = [row[name] for name in COLUMNS]
    if len(row) != len(COLUMNS):
        raise ValueError(f"a row has {{len(COLUMNS)}} numbers, for {{COLUMNS}}, not {{len(row)}}")
    if not all(x is not None and isfinite(x) for x in row):
        return None, None, None
    joint = []
    for {each}:
        squared = 0.0
        for z in {white}:
            squared += z * z
        squared = min(squared, {farthest})
        joint.append({joint})
{noise}    top = max(joint)
    shares = [exp(value - top) for value in joint]
    total = sum(shares)
    label = {label}
    return label, [share / total for share in shares], top + log(total)
'''


def python_text(described: DescribedMixture) -> str:
    """The source of a module with one function ``score(row)``."""
    mixture = described.mixture
    noise, tails = mixture.noise, mixture.tails
    constants = {"LOG_SCALES": mixture.log_scale, "MEANS": mixture.means}
    names = {"log_scale": "LOG_SCALES", "mean": "MEANS", "whitener": "WHITENERS"}
    fall = "0.5 * squared"
    if tails is not None:
        constants["DEGREES_OF_FREEDOM"] = tails
        names["nu"] = "DEGREES_OF_FREEDOM"
        fall = "0.5 * (nu + len(row)) * log1p(squared / nu)"
    index = "joint.index(top)"
    if noise is not None:
        index = f"{index} if top > NOISE else {NOISE_LABEL}"
    text = "\n".join(
        [
            *(f"{name} = {_tuple(values.tolist())}" for name, values in constants.items()),
            f"WHITENERS = {_whiteners(mixture)}",
            *([] if noise is None else [f"NOISE = {noise.log_joint!r}"]),
        ]
    )
    functions = ["exp", "isfinite", "log"] + ["log1p"] * (tails is not None)
    if "-inf" in text:  # the logarithm of a weight of 0
        functions.insert(1, "inf")
    body = FUNCTION.format(
        noise_words="" if noise is None else " (last that of the noise)",
        label_words="" if noise is None else f"\n    The label of the noise is {NOISE_LABEL}.",
        each=f"{', '.join(names)} in zip({', '.join(names.values())})",
        white=_white(mixture),
        farthest=repr(FARTHEST),
        joint=f"log_scale - {fall}",
        noise="" if noise is None else "    joint.append(NOISE)\n",
        label=index,
    )
    head = HEAD.format(
        title=f"{described.title}, written by {created_by()}.",
        functions=", ".join(sorted(functions)),
        columns=_tuple(list(described.names)),
    )
    return f"{head}{text}\n{body}"


def _white(mixture: Mixture) -> str:
    """The expression of the whitened row."""
    if isinstance(mixture.covariance, Dense):
        return "[sum(w * (x - m) for w, x, m in zip(line, row, mean)) for line in whitener]"
    if isinstance(mixture.covariance, Diagonal):
        return "[w * (x - m) for w, x, m in zip(whitener, row, mean)]"
    return "[whitener * (x - m) for x, m in zip(row, mean)]"


def _whiteners(mixture: Mixture) -> str:
    """Lower triangles, reciprocal standard deviations of columns, or one of all columns."""
    covariance = mixture.covariance
    values: list[Any] = covariance.whitener.tolist()
    if isinstance(covariance, Dense):
        values = [[line[: i + 1] for i, line in enumerate(matrix)] for matrix in values]
    return _tuple(values) + (f" * {mixture.n_components}" if covariance.shared else "")


def _tuple(values: Iterable[Any], depth: int = 0) -> str:
    """Nested lists as tuples: one line for each innermost one."""
    values = list(values)
    if not any(isinstance(value, list) for value in values):
        inner = ", ".join(map(repr, values))
        return f"({inner},)" if len(values) == 1 else f"({inner})"
    indent = "    " * (depth + 1)
    lines = "".join(f"{indent}{_tuple(value, depth + 1)},\n" for value in values)
    return f"(\n{lines}{'    ' * depth})"
