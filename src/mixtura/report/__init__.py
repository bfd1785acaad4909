"""A report about a fit: one HTML file that works offline and loads nothing.

It has the chosen model and the reasons, an interactive picture, static pictures, the components in
words, the least sure rows, the convergence of EM, and how to reproduce the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from mixtura import __version__
from mixtura.base.markup import Markup, tag
from mixtura.inputs.writing import replacing
from mixtura.plots.files import checked_path
from mixtura.plots.unwrap import names_of
from mixtura.plots.view import checked_rows
from mixtura.report import live
from mixtura.report.sections import SECTIONS
from mixtura.report.study import Origin, Study, study_of

__all__ = ["Origin", "Study", "page_of", "write_report"]

POLICY = (
    "default-src 'none'; script-src {script}; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
"""Content-Security-Policy: the browser loads nothing, and runs only the script with this digest."""


def write_report(
    result: Any,
    X: Any,
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    source: str | Path | None = None,
) -> Path:
    """Write a report about a fitted model into one HTML file.

    Parameters
    ----------
    result : fitted GaussianMixtureSelector or GaussianMixture
    X : (n,d)
        The rows that the model was fitted to.
    path : str or Path
        Ends in .html.
    columns : d names, optional
        Those of a data frame by default.
    source : str or Path, optional
        The file that ``X`` was read from; the report then shows how to read it.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        When rows, names and model do not fit together, or the path does not end in .html.
    """
    target = checked_path(path, (".html",))
    mixture = result.mixture_
    names = names_of(result, X, columns, mixture.n_features)
    rows = checked_rows(mixture, X, names)
    origin = Origin.of_rows(rows) if source is None else Origin.of_file(str(source))
    with replacing(target) as part:
        part.write_text(page_of(study_of(result, rows, names, origin)), encoding="utf-8")
    return target


def page_of(study: Study) -> str:
    """The whole page of a study."""
    title = f"Clusters of {Path(study.origin.path).name}" if study.origin.path else "Clusters"
    parts = [section(study) for section in SECTIONS]
    program = tag("script", live.script(), type="module")
    made = f"mixtura {__version__}, {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    body = tag(
        "body",
        tag("h1", title),
        tag("p", made, class_="made"),
        _contents(parts),
        tag("main", *parts),
        program,
    )
    return f"<!doctype html>\n{tag('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    sheets = (
        files("mixtura.web").joinpath("static/colours.css"),
        files("mixtura.report").joinpath("page.css"),
    )
    style = Markup("".join(sheet.read_text(encoding="utf-8") for sheet in sheets))
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content=POLICY.format(script=live.source()),
        ),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", style),
    )


def _contents(parts: Sequence[Markup]) -> Markup:
    """Links to the sections that are not empty."""
    heads = [part.split("</h2>")[0] for part in parts if part]
    links = []
    for head in heads:
        anchor, _, title = head.removeprefix('<section id="').partition('"><h2>')
        links.append(tag("a", Markup(title), href=f"#{anchor}"))
    return tag("nav", *links, aria_label="Contents")
