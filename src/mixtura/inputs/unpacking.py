"""Bytes of a file: unpacked from gzip, bzip2, xz or zip, and decoded to text."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable

from mixtura.base.errors import DataError

PACKED: dict[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", gzip.decompress),
    b"BZh": ("bzip2", bz2.decompress),
    b"\xfd7zXZ\x00": ("xz", lzma.decompress),
}
"""Formats with one file inside, by their first bytes."""

ZIP, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
"""The first bytes of a zip archive, and of the workbooks and documents that are one."""

WORKBOOK_PARTS = ("xl/", "[Content_Types].xml", "content.xml")
"""Names in a zip archive that is a workbook."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks with their encodings; that of UTF-32 begins like that of UTF-16."""


def unpacked(raw: bytes, source: str) -> bytes:
    """The bytes of the only file inside gzip, bzip2, xz or zip; other bytes as they are."""
    for magic, (name, decompress) in PACKED.items():
        if raw.startswith(magic):
            try:
                return decompress(raw)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise DataError(
                    f"{source}: expected a complete file packed with {name}, but it cannot be "
                    f"unpacked: {error}. Copy or pack the file again."
                ) from None
    if raw.startswith((ZIP, EMPTY_ZIP)):
        return _only_file(raw, source)
    return raw


def _only_file(raw: bytes, source: str) -> bytes:
    """The bytes of the only file in a zip archive; a workbook, which is an archive, as it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX/")
            ]
            if any(name.startswith(WORKBOOK_PARTS) for name in names):
                return raw
            if len(names) != 1:
                listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                raise DataError(
                    f"{source}: expected a zip archive with one table, but it has {len(names)} "
                    f"files{f' ({listed})' if names else ''}. Unpack it, and give one of them."
                )
            return archive.read(names[0])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"{source}: expected a complete zip archive or workbook without a password, but it "
            f"cannot be unpacked: {error}. Copy or pack the file again."
        ) from None


def decoded(raw: bytes, source: str, encoding: str | None = None) -> str:
    """Text in the named encoding, in the one of its byte order mark, or in UTF-8 or UTF-16."""
    known = encoding or next((name for mark, name in MARKS if raw.startswith(mark)), None)
    name = known or _utf16(raw) or "utf-8"
    try:
        text = raw.decode(name)
    except UnicodeDecodeError as error:
        if known or name != "utf-8":
            raise DataError(
                f"{source}: expected text in {name}, but byte {error.start + 1} is not. Give its "
                "encoding, such as --encoding latin-1."
            ) from None
        if b"\0" in raw[:1024]:
            raise DataError(_binary(source)) from None
        raise DataError(
            f"{source}: expected text in UTF-8, but byte {error.start + 1} is not. Give its "
            "encoding, such as --encoding latin-1 (cp1252 for a file from Windows), or save it as "
            "'CSV UTF-8'."
        ) from None
    except LookupError:
        raise DataError(
            f"{encoding!r} is not an encoding that Python knows. Use utf-8, utf-16, latin-1 or "
            "cp1252, for example."
        ) from None
    if "\0" in text:
        raise DataError(_binary(source))
    return text.removeprefix("\ufeff")


def _utf16(raw: bytes) -> str | None:
    """UTF-16 without a byte order mark: every second byte of its first cells is zero."""
    even, odd = raw[:64:2], raw[1:64:2]
    if len(odd) > 1 and not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if len(odd) > 1 and not any(even) and all(odd) else None


def _binary(source: str) -> str:
    return (
        f"{source}: expected a table, but the file is binary, and none of CSV, Excel, Parquet, "
        "Arrow and JSON lines. Check the path, or save the table in one of these formats."
    )
