"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from mixtura.cli.exit_codes import UsageError
from mixtura.cli.standard_input import STANDARD_INPUT_NAME


def _whole_number(_: Any, tokens: Sequence[Token]) -> int:
    """A number without decimals, which the parser would round in silence."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected a whole number such as 3, but got {text!r}.") from None


def _is_a_name(_: Any, path: Path | None) -> None:
    """Refuse ``-``, which stands for standard input alone."""
    if str(path) == STANDARD_INPUT_NAME:
        raise UsageError("'-' is standard input, and no file to write; give the name of a file.")


Whole = Parameter(converter=_whole_number)
Seed = Annotated[
    int,
    Whole,
    Parameter(validator=Number(gte=0, lt=2**32), help="The same seed gives the same result."),
]
Json = Annotated[bool, Parameter(help="Print one JSON document and nothing else on stdout.")]
Force = Annotated[bool, Parameter(help="Overwrite existing files.")]
Threads = Annotated[
    int | None,
    Whole,
    Parameter(
        validator=Number(gte=1),
        help="Number of threads; it never changes a result. By default all processors are used.",
    ),
]
TimeLimit = Annotated[
    float | None,
    Parameter(
        validator=Number(gt=0, lte=threading.TIMEOUT_MAX),
        help="Seconds after which the search ends with the best model so far; pictures are drawn "
        "after that. No limit by default.",
    ),
]
Count = Annotated[int | None, Whole, Parameter(validator=Number(gte=1))]
AtLeastTwo = Annotated[int | None, Whole, Parameter(validator=Number(gte=2))]
FileToWrite = Annotated[Path | None, Parameter(validator=_is_a_name)]
Output = Annotated[FileToWrite, Parameter(alias="-o")]
Quiet = Annotated[bool, Parameter(alias="-q", help="Print only notes and errors.")]


def component_numbers(components: str | None, most: int | None) -> list[int]:
    """``3``, ``1:10`` or ``2,4,6`` as numbers; ``most`` alone means ``1:most``."""
    if components is not None and most is not None:
        raise UsageError("--components and --max-components exclude each other; give one of them.")
    text = components if components is not None else f"1:{most or 10}"
    found = re.fullmatch(r"(\d+)(?::(\d+))?|\d+(?:,\d+)+", text.replace(" ", ""))
    numbers = []
    if found and found[1]:
        numbers = list(range(int(found[1]), min(int(found[2] or found[1]), 10_000) + 1))
    elif found:
        numbers = sorted({int(part) for part in found[0].split(",")})
    if not numbers or numbers[0] < 1:
        raise UsageError(
            "--components must be a number such as 3, a range (1:10) or a list (2,4,6), but got "
            f"{text!r}."
        )
    return numbers


def family_names(families: str) -> list[str]:
    """``all``, or names separated by commas, as three-letter names without repetition."""
    from mixtura.families import FAMILIES, family_named

    if families.strip().lower() == "all":
        return list(FAMILIES)
    try:
        return list(dict.fromkeys(family_named(name.strip()).name for name in families.split(",")))
    except ValueError as error:
        raise UsageError(str(error).replace("covariance_type=", "--families ")) from None


def criterion_name(criterion: str) -> str:
    """The name of a criterion, from any case and with underscores or dashes."""
    from mixtura.model.criteria import ALL_CRITERIA

    name = criterion.strip().lower().replace("-", "_")
    if name not in ALL_CRITERIA:
        near = difflib.get_close_matches(name, ALL_CRITERIA, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"--criterion {criterion!r} is not known.{guess} Known: {', '.join(ALL_CRITERIA)}; "
            "lower is better for each."
        )
    return name


def merge_option(merge: str | None) -> int | Literal["elbow"] | None:
    """``elbow`` or a number of clusters."""
    if merge is None:
        return None
    text = merge.strip().lower()
    if text == "elbow":
        return "elbow"
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise UsageError(
            f"--merge must be elbow or a number of clusters such as 2, but got {merge!r}."
        )
    return int(text)


def noise_volume(noise: str) -> str | float:
    """``box``, ``principal``, ``auto`` or a positive volume."""
    from mixtura.inputs.constraints import noise_of

    text = noise.strip().lower()
    try:
        number: str | float = float(text)
    except ValueError:
        number = text
    try:
        checked = noise_of(number)
    except ValueError as error:
        raise UsageError(
            str(error).replace("noise must be None, ", "--noise must be ", 1)
        ) from None
    assert checked is not None
    return checked


def quantile_levels(quantiles: str) -> dict[str, float]:
    """``0.05,0.5`` as probabilities by their names in results, ``q05`` and ``q50``."""
    words = [word.strip() for word in quantiles.split(",") if word.strip()]
    try:
        levels = [float(word) for word in words]
    except ValueError:
        levels = []
    if not levels or not all(0 < level < 1 for level in levels):
        raise UsageError(
            "--quantiles must be probabilities between 0 and 1, such as 0.05,0.95, but got "
            f"{quantiles!r}."
        )
    return {quantile_name(level): level for level in levels}


def quantile_name(level: float) -> str:
    """``q05`` for 0.05, ``q50`` for 0.5, ``q2.5`` for 0.025: in percent.

    Examples
    --------
    >>> [quantile_name(level) for level in (0.05, 0.5, 0.025, 0.999)]
    ['q05', 'q50', 'q2.5', 'q99.9']
    """
    percent = f"{100 * level:.10g}"
    return "q" + percent.zfill(2)
