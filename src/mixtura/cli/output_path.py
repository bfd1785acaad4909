"""The path that a command writes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mixtura.cli.exit_codes import UsageError
from mixtura.cli.standard_input import STANDARD_INPUT_NAME

PACKED = (".gz", ".bz2", ".xz", ".zip")
"""Endings of packed files, before which there may be another one."""


def default_output(data: str, ending: str) -> Path:
    """``NAME.ending`` in the current folder, for a data file of this name, packed or not."""
    if data == STANDARD_INPUT_NAME:
        return Path("stdin" + ending)
    path = Path(data)
    return Path((path.with_suffix("") if path.suffix in PACKED else path).stem + ending)


def check_output(target: Path, endings: Sequence[str], force: bool, what: str) -> None:
    """Raise an error where the ending is wrong, the folder is missing or a file would be
    overwritten.
    """
    from mixtura.inputs.writing import refuse_to_overwrite

    if target.suffix.lower() not in endings:
        raise UsageError(
            f"--output must end in {' or '.join(endings)} for {what}, but got {str(target)!r}. "
            f"Write {target.stem + endings[0]!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{target}: its folder {str(target.parent)!r} does not exist. Create it first, or "
            "choose another --output."
        )
    refuse_to_overwrite([target], force)


@contextmanager
def written_atomically(target: Path) -> Iterator[Path]:
    """A temporary path that becomes ``target`` at the end.

    A folder without write access is an error at the beginning.
    """
    from mixtura.inputs.writing import replacing

    with replacing(target) as part:
        if part != target:
            part.touch()
        yield part
