"""Numbers as people write them: marks, separators, currencies, missing values, truth."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtura.inputs.numbers import MISSING, is_missing, numbers_of, truths_of, written


def read(*cells, **options):
    return numbers_of(cells, lambda i: f"cell {i}", **options)


# ---- a cell --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "mark", "value"),
    [
        ("1.5", ".", 1.5),
        (" +2e-3 ", ".", 0.002),
        (".5", ".", 0.5),
        ("5.", ".", 5.0),
        ("$1,234.50", ".", 1234.5),
        ("-$3.00", ".", -3.0),
        ("$ -3", ".", -3.0),
        ("(17.25)", ".", -17.25),
        ("($1,017.25)", ".", -1017.25),
        ("1,234,567", ".", 1234567.0),
        ("1 234 567.5", ".", 1234567.5),
        ("1'234.5", ".", 1234.5),
        ("5 %", ".", 5.0),
        ("−7", ".", -7.0),  # the minus of typography
        ("1,5", ",", 1.5),
        ("1.234,56", ",", 1234.56),
        ("1\u00a0234,5 €", ",", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("1.234", ",", 1234.0),
        ("2,5e3", ",", 2500.0),
        ("inf", ".", math.inf),
    ],
)
def test_a_number_is_read_as_people_mean_it(cell, mark, value):
    found = written(cell, mark)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("cell", "mark"),
    [
        ("1,5", "."),
        ("1,23.5", "."),
        ("1,2345", "."),
        ("0,123", "."),  # a zero begins no group of thousands
        ("1,234 567", "."),  # two kinds of separators
        ("1.5", ","),
        ("1_000", "."),
        ("12abc", "."),
        ("(-5)", "."),
        ("$$5", "."),
        ("2020-01-02", "."),
        ("12:30", "."),
        ("", "."),
        ("-", ","),
        (".", "."),
        ("%", "."),
    ],
)
def test_other_text_is_no_number(cell, mark):
    assert written(cell, mark) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_both_marks_read_every_float_bit_for_bit(value):
    text = repr(value)
    assert written(text, ".").value == value
    assert written(text.replace(".", ","), ",").value == value


@given(st.integers(-(10**12), 10**12), st.integers(0, 99))
def test_grouped_thousands_are_the_number_without_groups(whole, cents):
    text = f"{whole:,}.{cents:02d}"
    german = text.translate(str.maketrans(",.", ".,"))
    assert written(text, ".").value == written(german, ",").value == float(f"{whole}.{cents:02d}")


# ---- a column ------------------------------------------------------------------------------------


def test_the_mark_of_a_column_is_the_one_by_which_all_its_cells_are_numbers():
    assert read("1,5", "1.234,5", "7").values.tolist() == [1.5, 1234.5, 7]
    assert read("1.5", "1,234.5", "7").values.tolist() == [1.5, 1234.5, 7]


def test_unusual_numbers_are_said_with_an_example():
    assert read("1,5", "12,25").how == "'12,25' is read as 12.25"
    assert read("1.5", "12.25").how == ""


def test_a_column_that_both_marks_read_differently_is_not_guessed():
    found = read("1,234", "5")
    assert found.problem == (
        "ambiguous (cell 0 has '1,234', which is 1234 with a decimal point and 1.234 with a "
        "decimal comma)"
    )
    assert "--decimal" in found.advice
    assert read("1,234", "5", asked=",").values.tolist() == [1.234, 5]
    assert read("1,234", "5", asked=".").values.tolist() == [1234, 5]
    assert read("1,234", "5", usual=".").values.tolist() == [1234, 5]


def test_plain_numbers_need_no_guess():
    assert read("1.234", "5").values.tolist() == [1.234, 5]
    assert read("1234", "5").mark is None


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("1,5", "2,5", "3,25", "2.5"), "3 of 4 cells .* decimal comma, but cell 3 has '2.5'"),
        (("1.5", "2.5", "3,25", "2.75"), "3 of 4 cells .* decimal point, but cell 2 has '3,25'"),
        (("0.123", "2,345", "7.891"), "2 of 3 cells .* '2,345', which is 2345 or 2.345"),
        (("0,123", "2.345", "7,891"), "2 of 3 cells .* '2.345', which is 2345 or 2.345"),
    ],
)
def test_a_mark_against_the_rule_of_its_column_is_a_conflict(cells, words):

    assert re.search(words, read(*cells).conflict)


def test_a_cell_that_only_a_separator_explains_settles_the_others():
    assert read("0.5", "2,345", "1,234.5").values.tolist() == [0.5, 2345, 1234.5]
    assert read("0.5", "2,345", asked=".").values.tolist() == [0.5, 2345]


def test_text_among_numbers_is_counted_and_advice_is_given():
    found = read("1", "2", "call us", "3")
    assert found.problem == "not numeric (cell 2 has 'call us'; 3 of 4 cells are numbers)"
    assert "--na 'call us'" in found.advice
    assert read("1", "x", "y").advice == ""


def test_a_named_text_is_missing():
    found = read("1", "call us", "3", na=frozenset({"call us"}))
    assert np.array_equal(found.values, [1, np.nan, 3], equal_nan=True)


@pytest.mark.parametrize("cell", [*sorted(MISSING), "NA", "N/A", " #N/A ", "NULL", "NaN"])
def test_usual_words_are_missing(cell):
    assert is_missing(cell)
    assert np.isnan(read("1", cell).values[1])


def test_two_units_in_a_column_are_not_mixed():
    assert read("$5", "€6").problem == "in different units ($ and €)"
    assert read("5 %", "0.05").problem == "in different units (% and numbers without it)"
    assert read("$5", "6").problem == ""


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("true", "False", ""), [1, 0, np.nan]),
        (("yes", "NO", "NA"), [1, 0, np.nan]),
        (("T", "F", "T"), [1, 0, 1]),
    ],
)
def test_true_and_false_are_1_and_0(cells, values):
    assert np.array_equal(truths_of(cells), values, equal_nan=True)


@pytest.mark.parametrize("cells", [("yes", "maybe"), ("1", "0"), ("", "NA")])
def test_other_columns_are_not_true_or_false(cells):
    assert truths_of(cells) is None
