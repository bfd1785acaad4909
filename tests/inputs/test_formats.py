"""Workbooks, Parquet, Arrow, JSON lines and packed files give the table that CSV gives."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
import lzma
import sys
import zipfile

import numpy as np
import pytest

from mixtura.base.errors import DataError, MissingExtraError
from mixtura.inputs.reading import Reading, read_table

CSV = b"a,b\n1,2\n3,5\n"
NAN = float("nan")

COLUMNS = {
    "i": [1, None, 4],
    "f": [1.5, 2.5, None],
    "ok": [True, False, None],
    "who": ["x", "NA", "z"],
    "day": [datetime.date(2020, 1, 1 + i) for i in range(3)],
}
"""The table that every format with types holds."""


def workbook(rows, path, **sheets):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, own in sheets.items():
        sheet = book.create_sheet(name)
        for row in own:
            sheet.append(row)
    book.save(path)
    return path


def write_workbook(path):
    workbook([list(COLUMNS), *zip(*COLUMNS.values(), strict=True)], path)


def write_arrow(kind):
    def write(path):
        pa = pytest.importorskip("pyarrow")
        table = pa.table(COLUMNS)
        if kind == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
        elif kind == "feather":
            pytest.importorskip("pyarrow.feather").write_feather(table, path)
        else:
            start = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
            with pa.OSFile(str(path), "wb") as sink, start(sink, table.schema) as writer:
                writer.write_table(table)

    return write


def write_json(as_list):
    def write(path):
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
        for row in rows:
            row["day"] = row["day"].isoformat()
        text = json.dumps(rows) if as_list else "\n".join(map(json.dumps, rows))
        path.write_text(text)

    return write


FORMATS = {
    "xlsx": write_workbook,
    "parquet": write_arrow("parquet"),
    "arrow": write_arrow("file"),
    "arrows": write_arrow("stream"),
    "feather": write_arrow("feather"),
    "jsonl": write_json(False),
    "json": write_json(True),
}


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    """A file of each format; its name says nothing."""
    path = tmp_path / "data.anything"
    FORMATS[request.param](path)
    return path


# ---- formats with types --------------------------------------------------------------------------


def test_numbers_are_used_and_nulls_are_missing(written):
    X, names, left_out = read_table(written).numeric()
    assert names == ("i", "f")
    np.testing.assert_array_equal(X, [[1, 1.5], [NAN, 2.5], [4, NAN]])
    reasons = dict(left_out)
    assert reasons["ok"] == "true or false (--booleans uses it as 1 and 0)"
    assert reasons["who"].startswith("not numeric (")
    assert "2020-01-01" in reasons["day"]


def test_booleans_are_1_and_0_on_request(written):
    X, names, _ = read_table(written).numeric(booleans=True)
    assert names == ("i", "f", "ok")
    np.testing.assert_array_equal(X[:, 2], [1, 0, NAN])


def test_text_and_numbers_can_be_classes(written):
    table = read_table(written, keep=["who", "i"])
    assert table.labels("who") == ["x", None, "z"]
    assert table.labels("i") == [1, None, 4]


def test_a_number_can_be_named_as_missing(written):
    X, _, _ = read_table(written, Reading(na=("4",))).numeric(["i"])
    np.testing.assert_array_equal(X, [[1], [NAN], [NAN]])


def test_a_column_is_answered_row_by_row(written):
    X, reasons = read_table(written, keep=["f", "i"]).answerable(["f", "i"])
    np.testing.assert_array_equal(X, [[1.5, 1], [2.5, NAN], [NAN, 4]])
    assert reasons == ["", "", ""]


def test_decimals_categories_and_columns_of_nulls_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    from decimal import Decimal

    columns = {
        "money": pa.array([Decimal("1.25"), None, Decimal("3.50")]),
        "kind": pa.array([30, 10, 30]).dictionary_encode(),
        "none": pa.nulls(3),
        "list": [[1], [2], [3]],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    X, names, left_out = read_table(tmp_path / "x.parquet").numeric()
    assert names == ("money", "kind")
    np.testing.assert_array_equal(X, [[1.25, 30], [NAN, 10], [3.5, 30]])
    assert left_out == [("none", "empty"), ("list", "no single values (row 1 has [1])")]


# ---- workbooks -----------------------------------------------------------------------------------


def test_numbers_stored_as_text_are_numbers_and_said(tmp_path):
    rows = [["size", "price"], [1.5, "1.234,50"], [2.5, "12,00"], ["n/a", "7,10"]]
    table = read_table(workbook(rows, tmp_path / "x.xlsx"))
    np.testing.assert_array_equal(table.numeric()[0], [[1.5, 1234.5], [2.5, 12], [NAN, 7.1]])
    assert table.said == ("numbers that are stored as text are read as numbers: price",)


def test_a_number_of_a_sheet_shows_no_decimal_mark(tmp_path):
    rows = [["a", "b"], [1.5, 1], ["2,5", 2], [-0.1, 4]]
    table = read_table(workbook(rows, tmp_path / "x.xlsx"))
    assert table.numeric()[0].tolist() == [[1.5, 1], [2.5, 2], [-0.1, 4]]
    rows[2][0] = "2,345"
    table = read_table(workbook(rows, tmp_path / "y.xlsx"))
    assert table.numeric()[1] == ("b",)
    assert table.columns[0].problem.startswith("ambiguous (row 3 of the sheet has '2,345'")


def test_units_and_empty_rows_of_a_sheet_are_skipped_and_said(tmp_path):
    rows = [["a", "b"], ["cm", "kg"], [1, 2], [], [3, 5]]
    table = read_table(workbook(rows, tmp_path / "x.xlsx"))
    assert table.numeric()[0].tolist() == [[1, 2], [3, 5]]
    assert set(table.said) == {
        "row 2 of the sheet (cm, kg) is skipped: units below the header",
        "empty rows of the sheet are skipped: 4",
    }


def test_a_sheet_is_chosen_by_name_and_the_others_are_said(tmp_path):
    path = workbook([["a"], [1], [2]], tmp_path / "x.xlsx", second=[["b"], [3], [4]])
    assert read_table(path).numeric()[1] == ("a",)
    assert "the others are 'second'" in read_table(path).said[0]
    assert read_table(path, Reading(sheet="second")).numeric()[0].tolist() == [[3], [4]]
    with pytest.raises(DataError, match=r"no sheet is called 'third'.*'Sheet', 'second'"):
        read_table(path, Reading(sheet="third"))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "sheet 'Sheet' is empty"),
        ([["a", "b"]], "rows of numbers under the header, but there are none"),
        ([[1, 2], [3, 4]], "holds only numbers"),
    ],
)
def test_a_sheet_without_a_table_is_refused(tmp_path, rows, words):
    with pytest.raises(DataError, match=words):
        read_table(workbook(rows, tmp_path / "x.xlsx"))


def test_a_sheet_of_another_file_is_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(CSV)
    with pytest.raises(DataError, match="expected a workbook with a sheet 'one'"):
        read_table(tmp_path / "x.csv", Reading(sheet="one"))


# ---- JSON ----------------------------------------------------------------------------------------


def test_a_value_that_a_row_lacks_is_missing_and_said(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1, "b": 2}\n\n{"b": "3.5"}\n{"a": 4, "b": 5}\n')
    table = read_table(tmp_path / "x.jsonl")
    np.testing.assert_array_equal(table.numeric()[0], [[1, 2], [NAN, 3.5], [4, 5]])
    assert "columns that some rows lack have missing values there: a in 1" in table.said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": 2\n', "line 2 is none"),
        ('{"a": 1}\n[1]\n', r"line 2 is \[1\]"),
        ('[{"a": 1}, 2]', "object 2 is 2"),
        ("{}\n{}\n", "there are none"),
    ],
)
def test_broken_json_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / "x.jsonl")


# ---- packed files --------------------------------------------------------------------------------


def zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda raw: zipped(data=raw),
        lambda raw: zipped(folder__data=raw),
    ],
)
def test_a_packed_file_gives_the_table_inside(tmp_path, pack):
    (tmp_path / "x").write_bytes(pack(CSV))
    assert read_table(tmp_path / "x").numeric()[0].tolist() == [[1, 2], [3, 5]]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (zipped(one=CSV, two=CSV), r"has 2 files \(one, two\). Unpack it"),
        (zipped(), "has 0 files"),
        (gzip.compress(CSV * 500, mtime=0)[:-9], "packed with gzip, but it cannot be unpacked"),
        (bz2.compress(CSV * 500)[:-9], "packed with bzip2, but it cannot be unpacked"),
        (lzma.compress(CSV * 500)[:-9], "packed with xz, but it cannot be unpacked"),
        (zipped(one=CSV)[:-9], "zip archive or workbook"),
        (b"PAR1 and nothing else", "in the format Parquet, but pyarrow cannot read it"),
        (b"ARROW1 and nothing else", "in the format Arrow, but pyarrow cannot read it"),
        (zipped(xl__workbook="no"), "expected a workbook without a password"),
        (b"\xd0\xcf\x11\xe0 no", "expected a workbook without a password"),
    ],
)
def test_a_broken_file_is_refused_with_the_cause(tmp_path, raw, words):
    if "pyarrow" in words:
        pytest.importorskip("pyarrow")
    if words == "expected a workbook without a password":
        pytest.importorskip("python_calamine")
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / "x")


@pytest.mark.parametrize(
    ("module", "raw", "extra"),
    [
        ("pyarrow", b"PAR1", "parquet"),
        ("pyarrow", b"ARROW1", "parquet"),
        ("python_calamine", zipped(xl__workbook="no"), "excel"),
    ],
)
def test_a_reader_that_is_not_installed_is_named_with_its_command(
    tmp_path, monkeypatch, module, raw, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(MissingExtraError, match=rf"pip install 'mixtura\[{extra}\]'"):
        read_table(tmp_path / "x")
