#!/usr/bin/env python
"""Run sklearn.utils.estimator_checks.check_estimator on a class: python run_check_estimator.py --class m:GaussianMixture

Checks a fresh instance for each covariance_type the class accepts; prints counts and each failure. Exit 0 when none fails.
"""

import argparse
import importlib
import json
import sys
import warnings
from collections import Counter


def load(spec):
    mod, _, name = spec.partition(":")
    return getattr(importlib.import_module(mod), name)


def main(argv=None):
    ap = argparse.ArgumentParser()
    ap.add_argument("--class", dest="cls", default="sklearn.mixture:GaussianMixture")
    ap.add_argument("--param", default="covariance_type")
    ap.add_argument("--values", default="full,tied,diag,spherical")
    ap.add_argument("--json", default=None)
    a = ap.parse_args(argv)
    import sklearn
    from sklearn.utils.estimator_checks import check_estimator

    sys.path.insert(0, ".")
    cls, tot, rows, bad = load(a.cls), Counter(), [], []
    for v in a.values.split(","):
        est = cls(**{a.param: v})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = check_estimator(est, on_fail=None, on_skip=None)
        c = Counter(r["status"] for r in out)
        tot.update(c)
        print(f"{a.param}={v}: " + ", ".join(f"{k} {n}" for k, n in sorted(c.items())))
        for r in out:
            rows.append(
                {
                    "value": v,
                    "check": r["check_name"],
                    "status": r["status"],
                    "why": str(r["exception"])[:300] if r["exception"] else None,
                }
            )
            if r["status"] == "failed":
                bad.append(rows[-1])
    print(
        f"scikit-learn {sklearn.__version__} check_estimator on {a.cls}: " + ", ".join(f"{k} {n}" for k, n in sorted(tot.items()))
    )
    for b in bad:
        print(f"  FAIL [{b['value']}] {b['check']}: {(b['why'] or '').splitlines()[0] if b['why'] else ''}")
    if a.json:
        json.dump(rows, open(a.json, "w"), indent=1)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
