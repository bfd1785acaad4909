"""The API reference: every name in `__all__` of two modules, by kind, and references to them."""

from __future__ import annotations

import builtins
import pkgutil
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any

from docutils.nodes import Element
from sklearn.base import BaseEstimator
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

MODULES = ("mixtura", "mixtura.plots")
KINDS = ("Estimators", "Functions", "Other classes", "Exceptions and warnings", "Constants")


def kind_of(value: object) -> str:
    """The section of the reference that a public name belongs to."""
    if not isclass(value):
        return "Functions" if callable(value) else "Constants"
    if issubclass(value, BaseException):
        return "Exceptions and warnings"
    return "Estimators" if issubclass(value, BaseEstimator) else "Other classes"


def write_pages(app: Sphinx, _config: Config) -> None:
    """One index for each module; autosummary writes the pages of single names."""
    folder = Path(app.srcdir, "api")
    folder.mkdir(exist_ok=True)
    names = {f"{name}.{public}" for name in MODULES for public in import_module(name).__all__}
    for page in folder.glob("*.rst"):
        if page.stem not in names:
            page.unlink()  # of a name that is no longer public
    for name in MODULES:
        Path(folder, f"{name}.rst").write_text(index_of(name))


def index_of(name: str) -> str:
    """The names of a module by kind, with their first lines."""
    module = import_module(name)
    lines = [f"``{name}``", "=" * (len(name) + 4), "", f".. currentmodule:: {name}", ""]
    values = {public: getattr(module, public) for public in module.__all__}
    for kind in KINDS:
        names = sorted(public for public, value in values.items() if kind_of(value) == kind)
        if not names:
            continue
        lines += [kind, "-" * len(kind), ""]
        if kind == "Constants":
            for public in names:
                lines += [f".. data:: {public}", f"   :value: {values[public]!r}", ""]
                lines += [f"   {line}" for line in comment_on(module, public)] + [""]
        else:
            lines += [".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
            lines += [f"   {public}" for public in names] + [""]
    return "\n".join(lines)


def comment_on(package: Any, public: str) -> list[str]:
    """The docstring below a constant, in whatever file of the package it stands."""
    for file in sorted(Path(package.__file__).parent.glob("*.py")):
        comments = ModuleAnalyzer.for_file(file, file.stem).find_attr_docs()
        if ("", public) in comments:
            return comments["", public]
    return []


def resolved(
    app: Sphinx, _env: BuildEnvironment, node: pending_xref, text: Element
) -> Element | None:
    """A reference by the module where a thing lives leads to its public name.

    What has no page (inner modules, Python's own exceptions) stays text, if it exists.
    """
    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py":
        return None
    if hasattr(builtins, target):
        return text
    try:
        value = pkgutil.resolve_name(target)
    except (AttributeError, ImportError, ValueError):
        return None
    for name in MODULES:
        module = import_module(name)
        for public in module.__all__:
            if getattr(module, public) is value:
                page, anchor = f"api/{name}.{public}", f"{name}.{public}"
                return make_refnode(app.builder, node["refdoc"], page, anchor, text)
    return text


def is_skipped(_app: Sphinx, _what: str, _name: str, member: Any, *_: Any) -> bool | None:
    """Methods that scikit-learn gives to every estimator are in its own documentation."""
    return True if (getattr(member, "__module__", "") or "").startswith("sklearn.") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("config-inited", write_pages)
    app.connect("missing-reference", resolved)
    app.connect("autodoc-skip-member", is_skipped)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
