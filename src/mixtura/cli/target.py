"""Where a command writes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mixtura.cli.data import STANDARD_INPUT
from mixtura.cli.endings import UsageError


def named_after(data: str, ending: str) -> Path:
    """``NAME.ending`` here, where the user names no other place."""
    return Path(("stdin" if data == STANDARD_INPUT else Path(data).stem) + ending)


def check_target(target: Path, endings: Sequence[str], force: bool, what: str) -> None:
    """Stop before any work is done where a file has another ending, has no folder, or would be
    overwritten.
    """
    from mixtura.inputs.writing import refuse_to_overwrite

    if target.suffix.lower() not in endings:
        raise UsageError(
            f"--output must end in {' or '.join(endings)} for {what}, but {str(target)!r} came. "
            f"Write {target.stem + endings[0]!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{target}: its folder {str(target.parent)!r} does not exist. Make it first, or choose "
            "another --output."
        )
    refuse_to_overwrite([target], force)


@contextmanager
def written_at_once(target: Path) -> Iterator[Path]:
    """A path to write to that becomes ``target`` at the end; that the folder cannot be written to
    is told at the beginning.
    """
    from mixtura.inputs.writing import replacing

    with replacing(target) as part:
        if part != target:
            part.touch()
        yield part
