"""A mixture as one SELECT: the label, the probabilities and the log density of each row of a table.

Plain SQL in steps that each have a name (WITH):

    rows    the columns as doubles
    joint   log weight + log density of each component, from whitened rows
    top     the largest one
    less    each minus the largest one
    shares  exp(less), which never overflows; 0 below exp(-700), where PostgreSQL raises an error
    sum     their sum

Databases differ in quotes, in the names of a type and a function, and in what keeps a step from
being written into the next one, where its expressions would be evaluated again and again: with ten
components PostgreSQL then takes all memory, and SQLite hours. A row with a NULL has NULL in all
results. Numbers have 17 digits, which read back bit for bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from mixtura.base.errors import DataWarning
from mixtura.base.numbering import column_name
from mixtura.distribution.covariance import Dense
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import NOISE_LABEL
from mixtura.exports.described import DescribedMixture, created_by

Dialect: TypeAlias = Literal["sqlite", "duckdb", "postgresql", "mysql"]
"""The databases on which the text was run; of "mysql", on MariaDB."""

MOST_COMPONENTS = 10
"""Beyond these the text is long, and a warning says so."""

LOWEST = -1e300
"""In place of the logarithm of a weight of 0, since SQL has no infinity."""

PREFIX = "mixtura_"
"""Begins the names of all steps and of their columns."""


@dataclass(frozen=True)
class _Words:
    """What differs between databases."""

    quote: str
    real: str
    greatest: str
    fence: str = ""

    def quoted(self, name: str) -> str:
        """A name as an identifier."""
        return f"{self.quote}{name.replace(self.quote, 2 * self.quote)}{self.quote}"


_WORDS: dict[Dialect, _Words] = {
    "sqlite": _Words('"', "DOUBLE PRECISION", "MAX", "LIMIT -1"),
    "duckdb": _Words('"', "DOUBLE", "GREATEST"),
    "postgresql": _Words('"', "DOUBLE PRECISION", "GREATEST", "OFFSET 0"),
    "mysql": _Words("`", "DOUBLE", "GREATEST", "LIMIT 18446744073709551615"),
}


def sql_text(
    described: DescribedMixture,
    table: str | Sequence[str] = "data",
    *,
    dialect: Dialect,
    keep: Sequence[str] | None = None,
) -> str:
    """One SELECT without a semicolon, so that it may also be a view or a subquery.

    Parameters
    ----------
    described : DescribedMixture
    table : str or sequence of str
        The table; points separate its schema from its name. A sequence holds the parts, in which
        points are part of a name.
    dialect : {"sqlite", "duckdb", "postgresql", "mysql"}
    keep : names of columns, optional
        Columns of the table that the result has first; those of the mixture by default.

    Raises
    ------
    ValueError
        For an unknown dialect, an empty name, or a column with the name of a result.
    """
    if dialect not in _WORDS:
        raise ValueError(
            f"dialect must be one of {', '.join(map(repr, get_args(Dialect)))}, but {dialect!r} "
            "came. 'mysql' is also that of MariaDB."
        )
    words, mixture = _WORDS[dialect], described.mixture
    parts = table.split(".") if isinstance(table, str) else list(table)
    if not parts or not all(parts):
        raise ValueError(f"table must be a name such as 'data' or 'schema.data', not {table!r}.")
    kept = [keep] if isinstance(keep, str) else list(described.names if keep is None else keep)
    results = _results(mixture)
    _check_names(kept, results)
    if mixture.n_components > MOST_COMPONENTS:
        warnings.warn(
            f"SQL of {mixture.n_components} components is long: databases may refuse it or be "
            f"slow. Up to {MOST_COMPONENTS} are tested; an ONNX model has no such limit.",
            DataWarning,
            stacklevel=3,
        )
    joint = _joint_names(mixture)
    columns = [words.quoted(name) for name in kept]
    steps = {
        "rows": _rows(described.names, words),
        "joint": _joint(mixture),
        "top": [(_largest(joint, words), "top")],
        "less": [(f"{PREFIX}{name} - {PREFIX}top", f"less_{name}") for name in joint],
        "shares": [(_share(f"{PREFIX}less_{name}"), f"share_{name}") for name in joint],
        "sum": [(" + ".join(f"{PREFIX}share_{name}" for name in joint), "sum")],
    }
    text, source, first = [], ".".join(map(words.quoted, parts)), columns
    for step, values in steps.items():
        listed = _lines([*first, *(f"{value} AS {PREFIX}{own}" for value, own in values)], 4)
        fence = f"\n  {words.fence}" if words.fence else ""
        text.append(f"{PREFIX}{step} AS (\n  SELECT\n    {listed}\n  FROM {source}{fence}\n)")
        source, first = f"{PREFIX}{step} r", ["r.*"]
    answers = [
        f"{_label(joint)} AS {words.quoted('label')}",
        *(
            f"{PREFIX}share_{own} / {PREFIX}sum AS {words.quoted(name)}"
            for own, name in zip(joint, results[1:], strict=False)
        ),
        f"{PREFIX}top + LN({PREFIX}sum) AS {words.quoted('log_density')}",
    ]
    return (
        f"-- {described.title}, written by {created_by()}.\nWITH {', '.join(text)}\n"
        f"SELECT\n  {_lines([*columns, *answers], 2)}\nFROM {source}\n"
    )


def _results(mixture: Mixture) -> list[str]:
    """The names of the results: label, probabilities, log density."""
    names = [column_name("probability", k) for k in range(mixture.n_components)]
    names += ["probability_noise"] * (mixture.noise is not None)
    return ["label", *names, "log_density"]


def _check_names(kept: Sequence[str], results: Sequence[str]) -> None:
    """Refuse columns with the name of a result."""
    taken = [name for name in kept if name.lower() in results or name.lower().startswith(PREFIX)]
    if taken:
        raise ValueError(
            f"the column {taken[0]!r} has the name of a result. Name the columns to keep without "
            "it, for example keep=['id'], or rename it in a view."
        )


# ---- the steps: expressions and their names ------------------------------------------------------


def _rows(names: Sequence[str], words: _Words) -> list[tuple[str, str]]:
    """The columns as doubles."""
    return [
        (f"CAST({words.quoted(name)} AS {words.real})", f"x{j}") for j, name in enumerate(names)
    ]


def _joint(mixture: Mixture) -> list[tuple[str, str]]:
    """The log joint density of each component, and that of the noise."""
    found = []
    for k in range(mixture.n_components):
        squared = _squared_distance(mixture, k)
        scale = max(float(mixture.log_scale[k]), LOWEST)
        if mixture.tails is None:
            fall = f"0.5e0 * ({squared})"
        else:
            nu = float(mixture.tails[k])
            half = _number(0.5 * (nu + mixture.n_features))
            fall = f"{half} * LN(1e0 + ({squared}) / {_number(nu)})"
        found.append((f"{_number(scale)} - {fall}", f"j{k}"))
    if mixture.noise is not None:
        found.append((_number(max(mixture.noise.log_joint, LOWEST)), "noise"))
    return found


def _squared_distance(mixture: Mixture, k: int) -> str:
    """The squared Mahalanobis distance from the mean of a component."""
    covariance, d = mixture.covariance, mixture.n_features
    whitener = covariance.whitener[0 if covariance.shared else k]
    if isinstance(covariance, Dense):
        lines = [[(j, float(w)) for j, w in enumerate(line) if w != 0] for line in whitener]
    else:
        own = whitener.tolist() if whitener.ndim else [float(whitener)] * d
        lines = [[(j, w)] for j, w in enumerate(own)]
    mean = mixture.means[k].tolist()
    return " + ".join(
        f"POWER({' + '.join(f'{_number(w)} * ({_less(j, mean[j])})' for j, w in line)}, 2)"
        for line in lines
    )


def _less(j: int, mean: float) -> str:
    """A column minus a mean; two signs in a row would be a comment."""
    return f"{PREFIX}x{j} {'+' if mean < 0 else '-'} {_number(abs(mean))}"


def _largest(joint: Sequence[str], words: _Words) -> str:
    """The largest joint density."""
    names = ", ".join(f"{PREFIX}{name}" for name in joint)
    return f"{words.greatest}({names})" if len(joint) > 1 else names


def _share(less: str) -> str:
    """The density relative to the largest one."""
    return f"CASE WHEN {less} < -700 THEN 0e0 ELSE EXP({less}) END"


def _label(joint: Sequence[str]) -> str:
    """The component with the largest joint density, the first of equal ones."""
    cases = [f"WHEN {PREFIX}{joint[0]} IS NULL THEN NULL"]
    cases += [f"WHEN {PREFIX}less_{name} = 0 THEN {_label_of(name)}" for name in joint]
    return f"CASE {' '.join(cases)} END"


def _joint_names(mixture: Mixture) -> list[str]:
    """``j0``, ``j1`` ..., and last ``noise``."""
    names = [f"j{k}" for k in range(mixture.n_components)]
    return names + ["noise"] * (mixture.noise is not None)


def _label_of(name: str) -> int:
    """The label of a joint density by its name."""
    return NOISE_LABEL if name == "noise" else int(name[1:])


# ---- text ----------------------------------------------------------------------------------------


def _number(value: float) -> str:
    """A double with 17 digits; the exponent keeps databases from exact decimals."""
    return f"{value:.16e}"


def _lines(items: Sequence[str], indent: int) -> str:
    """A list with one item per line."""
    return f",\n{' ' * indent}".join(items)
