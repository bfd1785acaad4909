"""How to reproduce the numbers: the command, the Python code, its output and the versions."""

from __future__ import annotations

import inspect
import platform
import shlex
from importlib.metadata import version
from typing import Any

import numpy as np

from mixtura import __version__
from mixtura.backends import build_info
from mixtura.inputs.reading import reading_code
from mixtura.report.study import Study

NO_EFFECT = ("n_threads", "verbose", "verbose_interval", "callback")
"""Parameters that never change a result."""

PACKAGES = ("numpy", "scipy", "scikit-learn")


def command_line(study: Study) -> str:
    """The command to type, empty for a report made in Python."""
    return shlex.join(study.origin.command)


def code(study: Study) -> str:
    """A complete program; in the folder of the data it prints :func:`printed`."""
    name = type(study.estimator).__name__
    known = {"sample_weight": study.origin.weights, "labels": study.origin.labels}
    further = [f", {argument}={argument}" for argument, column in known.items() if column]
    return "\n".join(
        [
            f"from mixtura import {name}",
            *_reading(study),
            "",
            f"model = {name}({_arguments(study.estimator)}).fit(X{''.join(further)})",
            *_printing(study.estimator),
            "",
        ]
    )


def _reading(study: Study) -> list[str]:
    """The lines that read X."""
    n, d = study.X.shape
    if not study.origin.path:
        return ["", f"X = ...  # your rows: {n} x {d}, in the order of this report"]
    origin = study.origin
    how = reading_code(origin.reading)
    kept = f", keep=[{origin.labels!r}]" if origin.labels else ""
    lines = [
        *["import numpy as np", ""] * _has_empty_rows(study),
        f"from mixtura.inputs.reading import {'Reading, ' * bool(how)}read_table",
        "",
        f"table = read_table({origin.path!r}{how}{kept})",
        f"X, names, _ = table.numeric({list(study.names)!r})",
    ]
    if origin.weights:
        lines.append(f"sample_weight = table.weights({origin.weights!r})")
    if origin.labels:
        lines.append(f"labels = table.labels({origin.labels!r})")
    if _has_empty_rows(study):  # a fit by the command does not use them
        lines += ["some = np.flatnonzero(~np.isnan(X).all(axis=1))", "X = X[some]"]
        lines += ["sample_weight = sample_weight[some]"] * bool(origin.weights)
        lines += ["labels = [labels[i] for i in some]"] * bool(origin.labels)
    return lines


def _has_empty_rows(study: Study) -> bool:
    return bool(np.isnan(study.X).all(axis=1).any())


def _printing(estimator: Any) -> list[str]:
    fit = "model.selection_.best.fit" if hasattr(estimator, "families") else "model.result_"
    return [
        f"fit = {fit}",
        'print(fit.family, fit.n_components, "log-likelihood", repr(float(fit.log_likelihood)))',
        'print("weights", fit.mixture.weights.tolist())',
    ]


def printed(study: Study) -> str:
    """The output of the program, with all digits."""
    fit = study.fit
    first = f"{fit.family} {fit.n_components} log-likelihood {float(fit.log_likelihood)!r}"
    return f"{first}\nweights {fit.mixture.weights.tolist()}\n"


def _arguments(estimator: Any) -> str:
    """The parameters that differ from their defaults."""
    usual = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
    }
    given = estimator.get_params(deep=False)
    changed = {
        name: given[name]
        for name in usual
        if name not in NO_EFFECT and not _same(given[name], usual[name])
    }
    return ", ".join(f"{name}={_literal(value)}" for name, value in changed.items())


def _same(value: Any, usual: Any) -> bool:
    return type(value) is type(usual) and bool(value == usual)


def _literal(value: Any) -> str:
    """A value as code; consecutive whole numbers as a range."""
    numbers = list(value) if isinstance(value, range | list | tuple) else []
    if (
        len(numbers) > 2
        and all(isinstance(n, int) for n in numbers)
        and numbers == list(range(numbers[0], numbers[-1] + 1))
    ):
        return f"range({numbers[0]}, {numbers[-1] + 1})"
    return repr(value)


def versions() -> list[tuple[str, str]]:
    """The software that computed the numbers."""
    build = build_info()
    return [
        ("mixtura", __version__),
        ("Python", platform.python_version()),
        *((package, version(package)) for package in PACKAGES),
        ("machine", f"{platform.system()} {platform.machine()}"),
        *((str(key).replace("_", " "), str(value)) for key, value in build.items()),
    ]


def seed_words(estimator: Any) -> str:
    """A sentence about the seed."""
    seed = estimator.random_state
    return (
        f"The seed is {seed}."
        if isinstance(seed, int)
        else "No seed was given (random_state), so the starts may differ in another run."
    )


def digest_words(study: Study) -> str:
    """The digest of the data, to check that they are the same."""
    what = "the file" if study.origin.path else "the rows as 64-bit numbers in row order"
    return f"SHA-256 of {what}: {study.origin.digest}" if study.origin.digest else ""
