"""Python and SQL that score a row give the answers of the mixture."""

from __future__ import annotations

import ast
import sqlite3
import subprocess
import sys
from math import exp, log
from typing import Any

import numpy as np
import pytest

from exporting import ONE_OF_EACH_FORM, mixture_of, rows_of
from mixtura import DataWarning, GaussianMixture
from mixtura.distribution.covariance import Spherical
from mixtura.distribution.mixture import Mixture
from mixtura.distribution.mixture_density import labels_of
from mixtura.exports.described import DescribedMixture
from mixtura.exports.python_text import python_text
from mixtura.exports.sql_text import sql_text

ROUNDING = 1e-11
"""Relative and absolute difference of log densities: 1e-16 times sums of dozens of terms, which are
up to a thousand times as large as the density of a row at 30 standard deviations.
"""

NAMES = ('a "b"', "c`d", "größe;--")


def described(mixture: Mixture, family: str) -> DescribedMixture:
    return DescribedMixture(mixture, family)


def check(mixture: Mixture, rows: np.ndarray, found: list[tuple[Any, ...]]) -> None:
    """Compare rows of label, probabilities ..., log density."""
    labels, values = [one[0] for one in found], np.array([one[1:] for one in found], dtype=float)
    expected = mixture.posterior(rows)
    # SQL has no log1p: a logarithm of 1 + D / nu is off by 1e-16, and nu / 2 multiplies it.
    rounding = ROUNDING + (0.0 if mixture.tails is None else 1e-16 * float(mixture.tails.max()))
    assert labels == labels_of(expected, mixture).tolist()
    np.testing.assert_allclose(values[:, :-1], expected, rtol=0, atol=rounding)
    np.testing.assert_allclose(
        values[:, -1], mixture.log_density(rows), rtol=rounding, atol=rounding
    )


# ---- Python --------------------------------------------------------------------------------------


def score_of(mixture: Mixture, family: str = "VVV") -> Any:
    module: dict[str, Any] = {}
    exec(python_text(described(mixture, family)), module)
    return module["score"]


def by_python(mixture: Mixture, rows: np.ndarray) -> list[tuple[Any, ...]]:
    score = score_of(mixture)
    answers = [score(row) for row in rows.tolist()]
    return [(label, *probabilities, density) for label, probabilities, density in answers]


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("t", [False, True], ids=["gaussian", "t"])
@pytest.mark.parametrize("family", ONE_OF_EACH_FORM)
def test_python_scores_every_stored_form(family, t, noise):
    mixture = mixture_of(family, t=t, noise=noise)
    rows = rows_of(mixture)
    check(mixture, rows, by_python(mixture, rows))


@pytest.mark.parametrize(("K", "d"), [(1, 1), (10, 2), (12, 8)])
def test_python_sizes(K, d):
    mixture = mixture_of("VVV", K=K, d=d, offset=1e6)
    rows = rows_of(mixture)
    check(mixture, rows, by_python(mixture, rows))


def test_python_takes_mappings_and_arrays_of_any_kind():
    pandas = pytest.importorskip("pandas")
    mixture = mixture_of("VVV", columns=NAMES)
    row = rows_of(mixture)[0]
    score = score_of(mixture)
    answer = score(row.tolist())
    for same in (
        tuple(row),
        row,
        dict(zip(NAMES, row, strict=True)),
        {"other": "text", **dict(zip(reversed(NAMES), reversed(row), strict=True))},
        pandas.Series(row, index=list(NAMES)),
    ):
        assert score(same) == answer


def test_python_has_no_answer_for_a_row_without_a_value():
    score = score_of(mixture_of("VVI", noise=True))
    for value in (None, float("nan"), float("inf")):
        assert score([0.0, value, 1.0]) == (None, None, None)
    with pytest.raises(ValueError, match=r"a row has 3 numbers.* not 2"):
        score([0.0, 1.0])


def test_python_has_numbers_for_a_row_at_the_end_of_the_doubles():
    for t in (False, True):
        _, probabilities, density = score_of(mixture_of("VVV", t=t))([1e200, -1e300, 0.0])
        assert np.isfinite(density)
        assert sum(probabilities) == pytest.approx(1.0)


def test_python_of_a_component_of_weight_zero():
    mixture = Mixture(np.array([0.0, 1.0]), np.array([[0.0], [3.0]]), Spherical(np.ones(1), 2, 1))
    assert score_of(mixture)([0.0])[1] == [0.0, 1.0]


def test_python_needs_nothing_but_math(tmp_path):
    """The text is a module that runs alone, without mixtura and NumPy."""
    mixture = mixture_of("VVV", t=True, noise=True, columns=('"""', "\n", "\\"))
    source = python_text(described(mixture, "VVV"))
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.module for node in imports] == ["math"]
    (tmp_path / "scoring.py").write_text(source, encoding="utf-8")
    row = rows_of(mixture)[0].tolist()
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-I",
            "-c",
            f"import sys; sys.path[:0] = ['.']\n"
            f"from scoring import COLUMNS, score\nprint(repr((COLUMNS, score({row!r}))))",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    columns, (label, *_) = ast.literal_eval(done.stdout)
    assert columns == mixture.columns
    assert label == mixture.posterior(np.array([row])).argmax()


# ---- SQL -----------------------------------------------------------------------------------------


def by_sqlite(
    text: str, names: tuple[str, ...], rows: list[list[float | None]]
) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(":memory:")
    for name, function in (("exp", exp), ("ln", log), ("power", pow)):
        arguments = 2 if name == "power" else 1
        try:
            connection.execute(f"SELECT {name}({', '.join(['1.0'] * arguments)})")
        except sqlite3.OperationalError:  # a build without mathematical functions
            connection.create_function(name, arguments, function)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    connection.execute(f"CREATE TABLE data (id INTEGER, {quoted})")
    marks = ", ".join("?" * (len(names) + 1))
    numbered = [[i, *row] for i, row in enumerate(rows)]
    connection.executemany(f"INSERT INTO data VALUES ({marks})", numbered)
    return connection.execute(f"SELECT * FROM ({text}) ORDER BY id").fetchall()


def by_duckdb(
    text: str, names: tuple[str, ...], rows: list[list[float | None]]
) -> list[tuple[Any, ...]]:
    duckdb = pytest.importorskip("duckdb")
    quoted = ", ".join('"' + name.replace('"', '""') + '" DOUBLE' for name in names)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE data (id INTEGER, {quoted})")
        marks = ", ".join("?" * (len(names) + 1))
        numbered = [[i, *row] for i, row in enumerate(rows)]
        connection.executemany(f"INSERT INTO data VALUES ({marks})", numbered)
        return connection.execute(f"SELECT * FROM ({text}) ORDER BY id").fetchall()


DATABASES = {"sqlite": by_sqlite, "duckdb": by_duckdb}


def scored(mixture: Mixture, dialect: str, rows: list[list[float | None]]) -> list[tuple[Any, ...]]:
    """The answers without the id."""
    one = described(mixture, "VVV")
    text = sql_text(one, dialect=dialect, keep=["id"])
    return [answer[1:] for answer in DATABASES[dialect](text, one.names, rows)]


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("t", [False, True], ids=["gaussian", "t"])
@pytest.mark.parametrize("family", ONE_OF_EACH_FORM)
@pytest.mark.parametrize("dialect", DATABASES)
def test_sql_scores_every_stored_form(dialect, family, t, noise):
    mixture = mixture_of(family, t=t, noise=noise, columns=NAMES)
    rows = rows_of(mixture, n=30)
    check(mixture, rows, scored(mixture, dialect, rows.tolist()))


@pytest.mark.parametrize(("K", "d"), [(1, 1), (2, 12), (10, 1), (10, 8)])
@pytest.mark.parametrize("dialect", DATABASES)
def test_sql_sizes_far_from_the_origin(dialect, K, d):
    """Also that ten components are no exponential work."""
    mixture = mixture_of("VVV", K=K, d=d, offset=-1e6, noise=K == 10)
    rows = rows_of(mixture, n=30)
    check(mixture, rows, scored(mixture, dialect, rows.tolist()))


@pytest.mark.parametrize("noise", [False, True], ids=["plain", "noise"])
@pytest.mark.parametrize("dialect", DATABASES)
def test_sql_of_null_is_null(dialect, noise):
    mixture = mixture_of("VVV", noise=noise)
    answers = scored(mixture, dialect, [[None, 0.0, 1.0], [0.0, 0.0, None], [0.0, 0.0, 1.0]])
    assert set(answers[0]) == set(answers[1]) == {None}
    assert None not in answers[2]


@pytest.mark.parametrize("dialect", DATABASES)
def test_sql_of_rows_that_are_far_apart_and_of_weight_zero(dialect):
    """Shares below exp(-700) are 0, and the sum never vanishes."""
    mixture = Mixture(
        np.array([0.0, 0.4, 0.6]), np.array([[0.0], [-1e4], [1e4]]), Spherical(np.ones(1), 3, 1)
    )
    rows = np.array([[0.0], [1e4], [-1e8]])
    check(mixture, rows, scored(mixture, dialect, rows.tolist()))


def test_sql_of_integers_and_text():
    """Columns are cast, so that 1/2 is no integer division and '4.5' a number."""
    mixture = mixture_of("VVV", d=2)
    text = sql_text(described(mixture, "VVV"), dialect="sqlite", keep=["id"])
    rows = [[1, "4.5"], [-2, "0"]]
    check(
        mixture,
        np.array(rows, dtype=float),
        [answer[1:] for answer in by_sqlite(text, ("x0", "x1"), rows)],
    )


def test_sql_is_a_view_of_the_columns_of_the_model(faithful):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(faithful, columns=["eruptions", "waiting"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    connection = sqlite3.connect(":memory:")
    frame.to_sql("old faithful", connection, index=False)
    connection.execute("CREATE VIEW scored AS " + model.to_sql("old faithful", dialect="sqlite"))
    view = pandas.read_sql("SELECT * FROM scored", connection)
    expected = ["eruptions", "waiting", "label", "probability_0", "probability_1", "log_density"]
    assert list(view.columns) == expected
    np.testing.assert_array_equal(view["label"], model.predict(frame))
    np.testing.assert_allclose(view["log_density"], model.score_samples(frame), rtol=1e-12)


def test_the_table_is_quoted_part_by_part():
    one = described(mixture_of("EII"), "EII")
    for table, words in (
        ("data", 'FROM "data"\n'),
        ("main.data", 'FROM "main"."data"\n'),
        (["my.data"], 'FROM "my.data"\n'),
        ('a"; DROP TABLE b; --', 'FROM "a""; DROP TABLE b; --"\n'),
    ):
        assert words in sql_text(one, table, dialect="duckdb")
    assert "FROM `a``b`\n" in sql_text(one, "a`b", dialect="mysql")
    for wrong in ("", "a.", []):
        with pytest.raises(ValueError, match="table must be a name"):
            sql_text(one, wrong, dialect="duckdb")


def test_sql_that_cannot_be_right_is_refused():
    one = described(mixture_of("EII"), "EII")
    with pytest.raises(ValueError, match=r"dialect must be one of 'sqlite'.*but 'oracle' came"):
        sql_text(one, dialect="oracle")
    named = described(mixture_of("EII", columns=("a", "Label", "c")), "EII")
    with pytest.raises(ValueError, match=r"the column 'Label' has the name of a result.*keep="):
        sql_text(named, dialect="sqlite")
    assert sql_text(named, dialect="sqlite", keep="id").count('"Label"') == 1


def test_sql_of_many_components_warns():
    many = described(mixture_of("VVV", K=11), "VVV")
    with pytest.warns(DataWarning, match="SQL of 11 components is long"):
        text = sql_text(many, dialect="duckdb")
    assert '"probability_10"' in text
