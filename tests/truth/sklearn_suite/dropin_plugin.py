"""pytest plugin: run scikit-learn's own mixture tests against another class.

Loaded with ``-p dropin_plugin`` by run_suite.py, before any test module is imported, so that
``from sklearn.mixture import GaussianMixture`` in the tests binds the candidate.
Environment: DROPIN_CLASS / DROPIN_BAYES ("module:Name"), DROPIN_RENAME=1, DROPIN_REPORT=path.
"""

import importlib
import json
import os

import pytest

CALLS = {"n": 0, "b": 0}
RESULTS = {}


def _load(spec, want, key):
    mod, _, name = spec.partition(":")
    cls = importlib.import_module(mod)
    for part in name.split("."):
        cls = getattr(cls, part)
    if os.environ.get("DROPIN_RENAME") == "1" and cls.__name__ != want:
        cls = type(want, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, "__init__": cls.__init__})
    # count constructions without touching the class (so clone / get_params / signature stay intact)
    new = cls.__new__

    def counting_new(c, *a, **k):
        CALLS[key] += 1
        return new(c) if new is object.__new__ else new(c, *a, **k)

    cls.__new__ = staticmethod(counting_new)
    return cls


def pytest_configure(config):
    import sklearn.mixture

    g, b = os.environ.get("DROPIN_CLASS"), os.environ.get("DROPIN_BAYES")
    if g:
        sklearn.mixture.GaussianMixture = _load(g, "GaussianMixture", "n")
    if b:
        sklearn.mixture.BayesianGaussianMixture = _load(b, "BayesianGaussianMixture", "b")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    before = dict(CALLS)
    yield
    item.user_properties.append(("built", {k: CALLS[k] - before[k] for k in CALLS}))


def pytest_runtest_logreport(report):
    r = RESULTS.setdefault(report.nodeid, {"outcome": None, "built": None, "why": None})
    for k, v in report.user_properties:
        if k == "built":
            r["built"] = v
    if report.when == "call" or report.outcome != "passed":
        out = report.outcome
        if hasattr(report, "wasxfail"):
            out = "xfailed" if report.skipped else "xpassed"
        elif report.when != "call" and out == "failed":
            out = "error"
        r["outcome"] = out
        if out in ("failed", "error"):
            crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
            r["why"] = (crash.message if crash else str(report.longrepr))[:400]
        elif out == "skipped":
            r["why"] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)[:200]


def pytest_collectreport(report):
    if report.failed:
        RESULTS[report.nodeid or "collection"] = {"outcome": "error", "built": None, "why": str(report.longrepr)[-400:]}


def pytest_sessionfinish(session):
    p = os.environ.get("DROPIN_REPORT")
    if p:
        with open(p, "w") as f:
            json.dump(RESULTS, f, indent=1)
