"""Tables: reading, columns that are left out, messages about unusable files, and writing."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from mixtura.base.errors import DataError
from mixtura.inputs import delimited
from mixtura.inputs.reading import read_table
from mixtura.inputs.writing import replacing, write_csv


@pytest.fixture
def table_of(tmp_path):
    def read(content: str | bytes, name: str = "data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path)

    return read


# ---- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_delimiter_and_newline_gives_the_same_numbers(table_of, delimiter, newline):
    lines = [delimiter.join(cells) for cells in (("a", "b"), ("1.5", "2"), ("-3e2", "4"))]
    X, names, left_out = table_of(newline.join(lines) + newline).numeric()
    assert names == ("a", "b")
    assert left_out == []
    assert X.tolist() == [[1.5, 2.0], [-300.0, 4.0]]
    assert X.dtype == np.float64
    assert X.flags.c_contiguous


def test_quotes_and_a_byte_order_mark_are_read(table_of):
    text = '"a, ""first""","größe"\n"1","2"\n3,4\n'
    X, names, _ = table_of(b"\xef\xbb\xbf" + text.encode()).numeric()
    assert names == ('a, "first"', "größe")
    assert X.tolist() == [[1, 2], [3, 4]]


def test_a_quoted_cell_may_hold_a_newline_and_lines_are_still_counted(table_of):
    with pytest.raises(DataError, match="line 5 has 1"):
        table_of('a,text\n1,"two\nlines"\n2,x\n3\n').numeric()


def test_both_readers_of_csv_give_the_same_bits(table_of, monkeypatch):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 3)) * 10.0 ** rng.integers(-300, 300, (300, 3))
    text = "a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in numbers.tolist())
    fast = table_of(text).numeric()[0]
    monkeypatch.setattr(delimited, "plain_numbers", lambda *_: None)
    monkeypatch.setattr(delimited, "ROWS_OF_TEXT", 7)
    assert np.array_equal(fast, numbers)
    assert np.array_equal(table_of(text).numeric()[0], numbers)


def test_blank_lines_are_skipped(table_of):
    assert table_of("\na,b\n1,2\n\n3,5\n \n\n").numeric()[0].tolist() == [[1, 2], [3, 5]]


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n1\n2\n")))
    assert read_table("-").numeric()[0].tolist() == [[1], [2]]


def test_spaces_about_cells_and_names_do_not_matter(table_of):
    X, names, _ = table_of('a , b\n 1, "2"\n 3 ,4\n').numeric()
    assert names == ("a", "b")
    assert X.tolist() == [[1, 2], [3, 4]]


# ---- which columns -------------------------------------------------------------------------------


def test_every_column_that_is_left_out_has_a_reason(table_of):
    text = "id,a,kind,one,b,copy,none\n1,5,x,7,1,5,\n2,6,y,7,1,6,NA\n3,9,z,7,2,9,\n"
    _, names, left_out = table_of(text).numeric()
    assert names == ("a", "b")
    assert left_out == [
        ("id", "a row number"),
        ("kind", "not numeric (line 2 has 'x')"),
        ("one", "constant (7 in every row)"),
        ("copy", "equal to 'a' in every row"),
        ("none", "empty"),
    ]


@pytest.mark.parametrize("header", ["", "id", "Index", "Unnamed: 0", "rownames"])
@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_under_the_header_of_an_identifier_are_left_out(table_of, header, first):
    text = f'"{header}",a\n' + "".join(f'"{first + i}",{i * i}\n' for i in range(4))
    assert table_of(text).numeric()[1] == ("a",)


def test_counting_values_under_another_header_are_data(table_of):
    assert table_of("year,a\n1,3\n2,5\n3,1\n").numeric()[1] == ("year", "a")


def test_an_id_that_is_no_row_number_is_data(table_of):
    assert table_of("id,a\n3,3\n4,5\n5,1\n").numeric()[1] == ("id", "a")


def test_columns_can_be_named_in_any_order_even_row_numbers_and_constants(table_of):
    X, names, left_out = table_of("id,a,one\n1,5,7\n2,6,7\n").numeric(["one", "id"])
    assert names == ("one", "id")
    assert X.tolist() == [[7, 1], [7, 2]]
    assert left_out == [("a", "not asked for")]


def test_an_unknown_column_gets_a_suggestion(table_of):
    with pytest.raises(
        DataError, match=r"no column is called 'wating' \(did you mean 'Waiting'\?\)"
    ):
        table_of("Waiting,b\n1,2\n2,4\n").numeric(["wating"])


def test_no_column_named_is_refused(table_of):
    with pytest.raises(DataError, match="at least one column, but none came"):
        table_of("a\n1\n").numeric([])


def test_a_named_text_column_is_refused(table_of):
    with pytest.raises(DataError, match="'b' must hold numbers, but it is not numeric"):
        table_of("a,b\n1,x\n2,y\n").numeric(["b"])


def test_repeated_and_empty_headers_become_different_names(table_of):
    assert table_of("a,a,,a.2,a\n1,2,3,4,5\n").names == ("a", "a.3", "column_3", "a.2", "a.4")


def test_underscores_do_not_make_a_number(table_of):
    assert table_of("a,b\n1_000,1\n2_000,2\n").numeric()[2] == [
        ("a", "not numeric (line 2 has '1_000')")
    ]


# ---- unusable files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "file is empty"),
        (b"\n\n", "file is empty"),
        (b"a,b\n", "there are none"),
        (b"1,2\n3,4\n", r"first line, but it holds only numbers \(1, 2\).*x1,x2"),
        (b"a,b\nx,y\nz,w\n", "expected at least one column of numbers"),
        (b"a:b\n1:2\n3:4\n", r"a comma, semicolon, tab, \| or space between them"),
        (b"a,b\n1,2\n3\n4,5\n", r"as the header \(2\), but line 3 has 1"),
        (b"a,b\n1,2\n3,4,5\n", r"as the header \(2\), but line 3 has 3"),
        (b'a,b\n1,"2\n3,4\n', "unclosed quote"),
        (b"a,b\n1,\xe9\n", "expected text in UTF-8, but byte 7 is not"),
        (b"a,b\n1,2\n3,inf\n5,6\n", "'b' 1 infinite, first in row 2"),
    ],
)
def test_an_unusable_file_is_refused_with_its_name_and_the_cause(table_of, content, cause):
    with pytest.raises(DataError, match=cause) as refusal:
        table_of(content).numeric()
    assert "data.csv" in str(refusal.value)


def test_no_column_of_numbers_says_of_each_why(table_of):
    with pytest.raises(DataError, match=r"'a' is true or false.*'b' is not numeric"):
        table_of("a,b\nyes,x\nno,y\n").numeric()


# ---- writing -------------------------------------------------------------------------------------


def test_written_numbers_read_back_bit_for_bit(tmp_path):
    numbers = np.random.default_rng(0).normal(size=100) * 1e-7
    write_csv(tmp_path / "out.csv", {"row": np.arange(100) + 5, "größe, x": numbers})
    X, names, _ = read_table(tmp_path / "out.csv").numeric()
    assert names == ("row", "größe, x")
    assert np.array_equal(X[:, 1], numbers)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail():
        with replacing(path) as part:
            part.write_text("new")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_device_is_written_to_and_not_replaced():
    write_csv("/dev/null", {"a": [1]})
    assert not Path("/dev/null").is_file()


def test_a_link_keeps_pointing_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_csv(tmp_path / "link.csv", {"a": [1]})
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"
