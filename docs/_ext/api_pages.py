"""The API reference: every name in `__all__` of the public modules, by kind, and references."""

from __future__ import annotations

import builtins
import pkgutil
from enum import Enum
from importlib import import_module
from inspect import isclass, ismodule
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

KINDS = ("Estimators", "Functions", "Other classes", "Exceptions and warnings", "Constants")


def kind_of(value: object) -> str:
    """The section of the reference that a public name belongs to."""
    if not isclass(value):
        return "Functions" if callable(value) else "Constants"
    if issubclass(value, BaseException):
        return "Exceptions and warnings"
    return "Estimators" if issubclass(value, BaseEstimator) else "Other classes"


def public_names() -> dict[str, dict[str, Any]]:
    """What `mixtura`, `mixtura.plots` and the modules among the public names hold themselves."""
    found: dict[str, dict[str, Any]] = {}
    waiting = ["mixtura", "mixtura.plots"]
    for name in waiting:
        module = import_module(name)
        values = {public: getattr(module, public) for public in module.__all__}
        found[name] = {public: value for public, value in values.items() if not ismodule(value)}
        waiting += [
            v.__name__ for v in values.values() if ismodule(v) and v.__name__ not in waiting
        ]
    return dict(sorted(found.items()))


def write_pages(app: Sphinx, _config: Config) -> None:
    """An index, and one for each module; autosummary writes the pages of single names."""
    folder = Path(app.srcdir, "api")
    folder.mkdir(exist_ok=True)
    found = public_names()
    kept = {f"{name}.{public}" for name, values in found.items() for public in values}
    for page in folder.glob("*.rst"):
        if page.stem not in kept:
            page.unlink()  # of a name that is no longer public
    contents = "\n   ".join(found)
    (folder / "index.rst").write_text(
        f"Python\n======\n\n.. toctree::\n   :maxdepth: 1\n\n   {contents}\n"
    )
    for name, values in found.items():
        (folder / f"{name}.rst").write_text(index_of(name, values))


def index_of(name: str, values: dict[str, Any]) -> str:
    """The names of a module by kind, with their first lines."""
    lines = [f"``{name}``", "=" * (len(name) + 4), "", f".. currentmodule:: {name}", ""]
    for kind in KINDS:
        names = sorted(public for public, value in values.items() if kind_of(value) == kind)
        if not names:
            continue
        lines += [kind, "-" * len(kind), ""]
        if kind == "Constants":
            for public in names:
                lines += [f".. data:: {public}", f"   :value: {values[public]!r}", ""]
                lines += [f"   {line}" for line in comment_on(name, public)] + [""]
        else:
            lines += [".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
            lines += [f"   {public}" for public in names] + [""]
    return "\n".join(lines)


def comment_on(package: str, public: str) -> list[str]:
    """The docstring below a constant, in whatever file of the package it stands."""
    for file in sorted(Path(str(import_module(package).__file__)).parent.glob("*.py")):
        comments = ModuleAnalyzer.for_file(file, file.stem).find_attr_docs()
        if ("", public) in comments:
            return comments["", public]
    return []


def named(name: str) -> Any:
    """What a dotted name stands for; None where there is nothing."""
    try:
        return pkgutil.resolve_name(name)
    except (AttributeError, ImportError, ValueError):
        return None


def home_of(node: pending_xref) -> str:
    """The module that the class around a reference is written in."""
    module = import_module(node.get("py:module") or "mixtura")
    return str(getattr(getattr(module, node.get("py:class") or "", None), "__module__", ""))


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
    value = named(target)
    if value is None:
        value = named(f"{home_of(node)}.{target}")
    if value is None:
        return None
    for name, values in public_names().items():
        for public, known in values.items():
            if known is value:
                page, anchor = f"api/{name}.{public}", f"{name}.{public}"
                return make_refnode(app.builder, node["refdoc"], page, anchor, text)
    return text


def is_skipped(_app: Sphinx, _what: str, _name: str, member: Any, *_: Any) -> bool | None:
    """Values of an enumeration are told; scikit-learn documents the methods that it gives."""
    if isinstance(member, Enum):
        return False
    return True if (getattr(member, "__module__", "") or "").startswith("sklearn.") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("config-inited", write_pages)
    app.connect("missing-reference", resolved)
    app.connect("autodoc-skip-member", is_skipped)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
