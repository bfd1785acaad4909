#!/usr/bin/env python
"""Run scikit-learn's sklearn.mixture test suite against a class that claims to be a drop-in replacement.

    python run_suite.py --class some.module:GaussianMixture [--bayes-class m:BayesianGaussianMixture]
                        [--float32] [--all-seeds] [--array-api] [--rename] [--json out.json] [-k EXPR] [-v]

Prints passed / failed counts, split into
  public    the test builds the candidate and needs only the documented interface
  private   the test also needs undocumented names of scikit-learn's class or module (see PRIVATE below)
  vacuous   the test never built the candidate: it says nothing about it, pass or fail
Exit status 0 when every public test passed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
# tests that need undocumented parts of scikit-learn's class, with what they need
PRIVATE = {
    "test_gaussian_mixture_n_parameters": "_n_parameters()",
    "test_gaussian_mixture_aic_bic": "_n_parameters()",
    "test_gaussian_mixture_precisions_init": "_set_parameters(params), _initialize(X, resp)",
    "test_gaussian_mixture_precisions_init_diag": "result must equal a k-means start taken from sklearn's KMeans(n_init=1, random_state=0)",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "sklearn.mixture._gaussian_mixture._estimate_gaussian_parameters called once per iteration",
    "test_gaussian_mixture_setting_best_params": "precisions_cholesky_, lower_bounds_ attributes (documented), set after a non-converged run",
    "test_compare_covar_type": "_check_parameters(X), _initialize_parameters(X, rng)",
}
REALLY_PRIVATE = {
    k for k in PRIVATE if k not in ("test_gaussian_mixture_setting_best_params", "test_gaussian_mixture_precisions_init_diag")
}


def base(nodeid):
    return nodeid.split("::")[-1].split("[")[0]


def main(argv=None):
    ap = argparse.ArgumentParser()
    ap.add_argument("--class", dest="cls", default="sklearn.mixture._gaussian_mixture:GaussianMixture")
    ap.add_argument("--bayes-class", dest="bayes", default=None)
    ap.add_argument("--float32", action="store_true", help="also the float32 variants (SKLEARN_RUN_FLOAT32_TESTS=1)")
    ap.add_argument("--all-seeds", action="store_true", help="global_random_seed over 0..99")
    ap.add_argument("--array-api", action="store_true", help="SCIPY_ARRAY_API=1 (array_api_strict / torch if installed)")
    ap.add_argument("--rename", action="store_true", help="wrap the class in a subclass called GaussianMixture")
    ap.add_argument("--json", default=None)
    ap.add_argument("-k", default=None)
    ap.add_argument("-v", action="store_true")
    a = ap.parse_args(argv)
    fd, rep = tempfile.mkstemp(suffix=".json")
    os.close(fd)
    env = dict(
        os.environ,
        DROPIN_CLASS=a.cls,
        DROPIN_REPORT=rep,
        PYTHONPATH=os.pathsep.join([HERE, os.getcwd(), os.environ.get("PYTHONPATH", "")]),
    )
    if a.bayes:
        env["DROPIN_BAYES"] = a.bayes
    if a.rename:
        env["DROPIN_RENAME"] = "1"
    if a.float32:
        env["SKLEARN_RUN_FLOAT32_TESTS"] = "1"
    if a.all_seeds:
        env["SKLEARN_TESTS_GLOBAL_RANDOM_SEED"] = "all"
    if a.array_api:
        env["SCIPY_ARRAY_API"] = "1"
    mods = ["sklearn.mixture.tests.test_gaussian_mixture", "sklearn.mixture.tests.test_mixture"]
    if a.bayes:
        mods.append("sklearn.mixture.tests.test_bayesian_mixture")
    cmd = [
        sys.executable,
        "-m",
        "pytest",
        "--pyargs",
        *mods,
        "-q",
        "--no-header",
        "-p",
        "dropin_plugin",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "-x" if False else "--maxfail=0",
    ]
    if a.k:
        cmd += ["-k", a.k]
    p = subprocess.run(cmd, env=env, capture_output=not a.v, text=True)
    try:
        res = json.load(open(rep))
    except Exception:
        print(p.stdout, p.stderr)
        raise SystemExit("the suite did not run")
    finally:
        os.unlink(rep)
    cats = {"public": Counter(), "private": Counter(), "vacuous": Counter()}
    bad = []
    for node, r in res.items():
        built = r["built"] or {}
        # a Bayesian test is about the candidate only when --bayes-class was given
        n = built.get("n", 0) + (built.get("b", 0) if a.bayes else 0)
        c = (
            "private"
            if base(node) in REALLY_PRIVATE
            else ("vacuous" if n == 0 and r["outcome"] in ("passed", "skipped") else "public")
        )
        r["category"] = c
        cats[c][r["outcome"]] += 1
        if r["outcome"] in ("failed", "error"):
            bad.append((c, node, r["why"]))
    tot = Counter()
    for c in cats.values():
        tot.update(c)
    import sklearn

    print(f"scikit-learn {sklearn.__version__} mixture tests against {a.cls}" + (f" and {a.bayes}" if a.bayes else ""))
    for name, c in list(cats.items()) + [("total", tot)]:
        print(
            f"  {name:8s} passed {c['passed']:4d}  failed {c['failed'] + c['error']:4d}  skipped {c['skipped']:4d}  xfailed {c['xfailed'] + c['xpassed']:3d}"
        )
    for c, node, why in bad:
        print(f"  FAIL [{c}] {node.split('/')[-1]}: {(why or '').splitlines()[0] if why else ''}")
    if a.json:
        json.dump(
            {
                "class": a.cls,
                "bayes": a.bayes,
                "sklearn": sklearn.__version__,
                "counts": {k: dict(v) for k, v in cats.items()},
                "tests": res,
            },
            open(a.json, "w"),
            indent=1,
        )
    return 0 if not any(c == "public" for c, _, _ in bad) else 1


if __name__ == "__main__":
    sys.exit(main())
