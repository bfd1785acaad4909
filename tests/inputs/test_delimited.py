"""Text as people have it: decimal commas, comments, units, encodings, the quirks of R and Excel."""

from __future__ import annotations

import numpy as np
import pytest

from mixtura.base.errors import DataError
from mixtura.inputs import delimited
from mixtura.inputs.reading import Reading, read_table

NAN = float("nan")


@pytest.fixture
def table_of(tmp_path):
    def read(content: str | bytes, *, keep=(), **options):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, Reading(**options), keep=keep)

    return read


def numbers(table, *arguments, **options):
    return table.numeric(*arguments, **options)[0].tolist()


def assert_numbers(table, expected):
    np.testing.assert_array_equal(table.numeric()[0], expected)


# ---- missing values ------------------------------------------------------------------------------


def test_missing_values_are_kept(table_of):
    table = table_of("a,b\n1,2\nNA,4\n5,n/a\n-,#N/A\n#N/A,8\n")
    assert_numbers(table, [[1, 2], [NAN, 4], [5, NAN], [NAN, NAN], [NAN, 8]])


def test_a_number_that_is_named_as_missing_is_missing_however_it_is_written(table_of):
    table = table_of("a,b\n1,-999\n2,3\n3,-999.0\n4,5\n", na=("-999",))
    assert_numbers(table, [[1, NAN], [2, 3], [3, NAN], [4, 5]])


def test_na_in_a_column_of_classes_is_unknown(table_of):
    table = table_of("x,country\n1,NA\n2,DE\n3,\n", keep=["country"])
    assert table.labels("country") == [None, "DE", None]


def test_labels_that_are_numbers_are_unknown_at_minus_1(table_of):
    table = table_of("x,kind\n1,2\n2,-1\n3,\n4,1\n", keep=["kind"])
    assert table.labels("kind") == [2, None, None, 1]


@pytest.mark.parametrize("cell", ["", "-1", "inf", "NA"])
def test_a_row_without_a_weight_is_refused_with_its_number(table_of, cell):
    table = table_of(f"x,w\n1,2\n2,{cell}\n")
    with pytest.raises(DataError, match=r"weight of at least 0, but column 'w' has 1 .* in row 2"):
        table.weights("w")


# ---- numbers that are not plain ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2\n-2,25;3\n", [[1.5, 2], [-2.25, 3]]),
        ("a\n1,5\n2,5\n", [[1.5], [2.5]]),
        ('a,b\n"1,5",2\n"2,5",3\n', [[1.5, 2], [2.5, 3]]),
        ('a,b\n1,"$1,234.50"\n2,"($17.25)"\n3,-\n', [[1, 1234.5], [2, -17.25], [3, NAN]]),
        ('a,b\n1,"1,234"\n2,"5,678"\n', [[1, 1234], [2, 5678]]),
        ("a;b\n1,5;1.234\n2,5;5.678\n", [[1.5, 1234], [2.5, 5678]]),
        ("a;b\n1.5;1,234\n2.25;5,678\n", [[1.5, 1234], [2.25, 5678]]),
        ("a;b\n1,5;1.234\n2.5;5.678\n".replace("2.5", "2,5"), [[1.5, 1234], [2.5, 5678]]),
    ],
)
def test_the_mark_is_seen_in_the_cells_of_the_file(table_of, text, expected):
    assert_numbers(table_of(text), expected)


def test_how_a_column_was_read_is_said(table_of):
    table = table_of('a,b\n1,"$1,234.50"\n2,$3\n')
    assert [column.how for column in table.columns] == ["", "'$1,234.50' is read as 1234.5"]


def test_an_ambiguous_column_is_left_out_with_advice(table_of):
    table = table_of("a;b\n1;1,234\n2;5,678\n")
    _, names, left_out = table.numeric()
    assert names == ("a",)
    assert left_out[0][1].startswith("ambiguous (line 2 has '1,234', which is 1234 with")
    assert "--decimal" in table.warning(*left_out[0])
    assert numbers(table_of("a;b\n1;1,234\n2;5,678\n", decimal=",")) == [[1, 1.234], [2, 5.678]]


def test_the_mark_that_is_asked_for_is_used(table_of):
    assert numbers(table_of("a;b\n1;1.234\n2;5.678\n", decimal=",")) == [[1, 1234], [2, 5678]]
    with pytest.raises(DataError, match=r"line 2 has '2\.5'"):
        table_of("a;b\n1;2.5\n2;5.5\n", decimal=",").numeric(["b"])


def test_one_mark_against_its_column_is_an_error_with_its_line(table_of):
    table = table_of("a;b\n1,5;1\n2,5;2\n3.5;3\n4,5;4\n")
    with pytest.raises(DataError, match=r"'a' 3 of 4 cells .* but line 4 has '3.5'.*--drop a"):
        table.numeric()
    assert numbers(table, drop=["a"]) == [[1], [2], [3], [4]]


def test_a_column_that_looks_numeric_has_advice(table_of):
    table = table_of("a,b\n1,2\n2,call us\n3,4\n")
    (left_out,) = table.numeric()[2]
    assert left_out == ("b", "not numeric (line 3 has 'call us'; 2 of 3 cells are numbers)")
    assert "--na 'call us'" in table.warning(*left_out)
    assert numbers(table_of("a,b\n1,2\n2,call us\n3,4\n", na=("call us",)), ["a"]) == [
        [1],
        [2],
        [3],
    ]


def test_true_and_false_are_used_on_request(table_of):
    text = "a,ok\n1,true\n2,false\n4,\n"
    table = table_of(text)
    assert table.numeric()[2] == [("ok", "true or false (--booleans uses it as 1 and 0)")]
    np.testing.assert_array_equal(table.numeric(booleans=True)[0], [[1, 1], [2, 0], [4, NAN]])
    np.testing.assert_array_equal(table.numeric(["ok"])[0], [[1], [0], [NAN]])


def test_columns_are_dropped_by_name(table_of):
    table = table_of("a,b,c\n1,5,3\n2,7,5\n")
    assert table.numeric(drop=["b"])[1:] == (("a", "c"), [("b", "dropped as asked")])
    assert table.numeric(["c", "b"], drop=["b"])[1] == ("c",)
    with pytest.raises(DataError, match="no column is called 'd'"):
        table.numeric(drop=["d"])


def test_the_plain_part_is_read_in_blocks_with_the_same_result(table_of, monkeypatch):
    text = "a;b;c\n" + "".join(f"{i},5;{i}.25;{'NA' if i % 3 else i}\n" for i in range(20))
    whole = table_of(text).numeric()[0]
    monkeypatch.setattr(delimited, "ROWS_OF_TEXT", 3)
    np.testing.assert_array_equal(table_of(text).numeric()[0], whole)
    assert whole[3, 0] == 3.5


# ---- lines that are no rows ----------------------------------------------------------------------


def test_comments_are_skipped_and_said(table_of):
    table = table_of("# by hand, in 2020\na,b\n1,2\n# 3,4\n5,6\n")
    assert numbers(table) == [[1, 2], [5, 6]]
    assert table.said == ("2 lines start with # and are skipped as comments, first 1",)


def test_a_sign_in_a_quoted_cell_is_no_comment(table_of):
    assert numbers(table_of('a,t\n1,"x\n# y"\n2,z\n')) == [[1], [2]]


@pytest.mark.parametrize("mark", ["#", "# "])
def test_names_in_the_comment_above_numbers_are_the_header(table_of, mark):
    table = table_of(f"# text\n{mark}a,b\n1,2\n3,5\n")
    assert table.names == ("a", "b")
    assert numbers(table) == [[1, 2], [3, 5]]
    assert table.said[0] == "line 2 starts with #, and has the names of the columns"


def test_a_first_column_called_number_sign_is_found(table_of):
    assert numbers(table_of("#,name,x\n1,bob,2\n2,al,3\n")) == [[2], [3]]


def test_units_below_the_header_are_skipped_and_said(table_of):
    table = table_of("name,h,w\n,cm,kg\nx,1,2\ny,3,5\n")
    assert numbers(table) == [[1, 2], [3, 5]]
    assert table.said == ("line 2 (cm, kg) is skipped: units below the header",)


def test_a_first_row_with_a_number_is_no_row_of_units(table_of):
    table = table_of("a,b\nx,1\n2,3\n4,5\n")
    assert table.said == ()
    assert table.numeric()[1] == ("b",)


def test_a_first_row_with_a_word_in_a_column_of_words_is_no_row_of_units(table_of):
    table = table_of("name,price,b\nbob,on request,\nal,3,1\neve,4,3\n")
    assert table.said == ()
    assert table.numeric()[1] == ("b",)


# ---- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a,b,\n1,2,\n3,5,\n", "a,b\n1,2,\n3,5,\n"])
def test_a_trailing_separator_makes_no_column(table_of, text):
    table = table_of(text)
    assert table.names == ("a", "b")
    assert numbers(table) == [[1, 2], [3, 5]]


@pytest.mark.parametrize(
    "text",
    [
        "a b\n1 2\n3 5\n",
        "  a    b \n 1.0  2\n 3    5  \n",
        "# a b\n1.0e+00 2.0e+00\n3.0e+00 5.0e+00\n",
        '"a" "b"\n"x" 1 2\n"y" 3 5\n',
    ],
    ids=["one space", "aligned", "numpy", "R"],
)
def test_spaces_may_separate_cells(table_of, text):
    table = table_of(text)
    assert table.numeric()[1] == ("a", "b")
    assert numbers(table) == [[1, 2], [3, 5]]


def test_spaces_inside_cells_separate_nothing(table_of):
    table = table_of("the date of,x\n1 Jan 2020,5\n2 Jan 2020,6\n")
    assert table.names == ("the date of", "x")


def test_the_separator_that_excel_names_is_no_header(table_of):
    assert numbers(table_of("sep=;\r\na;b\r\n1,5;2\r\n2,5;3\r\n")) == [[1.5, 2], [2.5, 3]]


def test_row_names_of_r_are_no_data(table_of):
    table = table_of('"a","b"\n"3",1,2\n"7",3,5\n')
    X, names, left_out = table.numeric()
    assert (X.tolist(), names) == ([[1, 2], [3, 5]], ("a", "b"))
    assert left_out[0][1].startswith("the names of the rows")
    assert "write a name for it into the header" in table.warning(*left_out[0])


def test_a_line_of_another_width_is_named(table_of):
    with pytest.raises(DataError, match=r"as the header \(2\), but line 3 has 3"):
        table_of("a;b\n1,5;2\n2;3;4\n")


# ---- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_unicode_is_recognised(table_of, encoding):
    table = table_of("name\tgröße\r\n1\t2,5\r\n2\t3,5\r\n".encode(encoding))
    assert table.names == ("name", "größe")
    assert numbers(table) == [[1, 2.5], [2, 3.5]]


def test_another_encoding_is_asked_for(table_of):
    raw = "größe,b\n1,2\n3,5\n".encode("latin-1")
    with pytest.raises(DataError, match=r"byte 3 is not\. Give its encoding, such as --encoding"):
        table_of(raw)
    assert table_of(raw, encoding="latin-1").names == ("größe", "b")
    with pytest.raises(DataError, match="'klingon' is not an encoding that Python knows"):
        table_of(raw, encoding="klingon")


# ---- predict -------------------------------------------------------------------------------------


def test_every_row_has_an_answer_or_a_reason(table_of):
    table = table_of("a,b\n1,2\nx,3\n,4\n5,inf\n", keep=["a", "b"])
    X, reasons = table.answerable(["b", "a"])
    np.testing.assert_array_equal(X, [[2, 1], [3, NAN], [4, NAN], [NAN, 5]])
    assert reasons == ["", "'a' is 'x'", "", "'b' is infinite"]


def test_a_column_without_numbers_has_no_answers(table_of):
    with pytest.raises(DataError, match="column 'a' must hold numbers, but it is not numeric"):
        table_of("a,b\nx,2\ny,3\n", keep=["a", "b"]).answerable(["a"])


# ---- every other cell ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# only\n# comments\n", "empty of anything but comments"),
        (bytes(range(256)) * 4, "the file is binary"),
        (b"\x89PNG\r\n", "this file is a picture"),
        (b"\x80\x04\x95", "a pickle, which is never opened"),
        (b"\x93NUMPY", "an array of NumPy"),
        (b"a,b\n1,2\n3,1 234,5\n", "that needs quotes"),
    ],
)
def test_an_unusable_file_is_refused_with_the_cause(table_of, content, words):
    with pytest.raises(DataError, match=words):
        table_of(content)
