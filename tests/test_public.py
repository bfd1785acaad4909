"""The public names, the types of parameters, and saved models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import mixtura
from mixtura.backends import backend_named
from mixtura.base import choices
from mixtura.base.family_names import OTHER_NAMES
from mixtura.base.scatter import Scatter
from mixtura.distribution.parametrisation import public_shape
from mixtura.families import FAMILIES
from mixtura.initialise.initialisers import BY_NAME
from mixtura.model.criteria import ALL_CRITERIA


def words(alias: object) -> set[str]:
    """The strings of a Literal, or of a union of some."""
    return {word for part in get_args(alias) for word in (get_args(part) or (part,))}


def test_every_public_name_exists_and_has_a_docstring():
    for name in mixtura.__all__:
        found = getattr(mixtura, name)
        if name != "__version__":
            assert name in dir(mixtura)
            assert found.__doc__


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        mixtura.nothing


def test_the_types_have_the_names_of_the_tables():
    assert words(choices.FamilyName) == set(FAMILIES)
    aliases = {alias for family in FAMILIES.values() for alias in family.aliases}
    assert words(choices.CovarianceType) == set(FAMILIES) | aliases
    assert words(choices.CriterionName) == set(ALL_CRITERIA)
    assert words(choices.InitParams) == {"auto", *BY_NAME}
    for word in words(choices.BackendName) - {"native"}:
        assert backend_named(word)


def test_the_letters_of_a_family_say_what_it_stores():
    assert list(OTHER_NAMES) == list(FAMILIES)
    stored = {Scatter.TRACE: (), Scatter.DIAGONAL: (3,), Scatter.TOTAL: (3, 3)}
    for name, family in FAMILIES.items():
        each = stored.get(family.needs, (3, 3))
        assert public_shape(name, 2, 3) == (each if family.shares_all else (2, *each))


def test_a_type_checker_finds_a_wrong_name(tmp_path):
    script = tmp_path / "wrong.py"
    script.write_text(
        "from mixtura import GaussianMixture\n"
        'GaussianMixture(2, covariance_type="full")\n'
        'GaussianMixture(2, covariance_type="fulll")\n'
    )
    run = [sys.executable, "-m", "mypy", "--follow-imports", "silent", str(script)]
    package = Path(mixtura.__file__).parent.parent  # an editable install is not found by itself
    environment = os.environ if package.name == "site-packages" else {"MYPYPATH": str(package)}
    found = subprocess.run(
        run, capture_output=True, text=True, check=False, cwd=tmp_path, env={**environment}
    )
    errors = [line for line in found.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1, found.stdout + found.stderr
    assert "wrong.py:3" in errors[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_loaded_bit_for_bit(family, tmp_path, faithful):
    path = tmp_path / "model.safetensors"
    model = mixtura.GaussianMixture(2, covariance_type=family, n_init=1, random_state=0)
    model.fit(faithful)
    mixtura.save(model, path)
    again = mixtura.load(path)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    np.testing.assert_array_equal(again.predict_proba(faithful), model.predict_proba(faithful))
    assert not hasattr(again, "feature_names_in_")


def test_a_selector_is_saved_as_its_winner_with_the_names_of_the_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (60, 2))])
    frame = pandas.DataFrame(rows, columns=["height", "weight"])
    choice = mixtura.GaussianMixtureSelector(range(1, 4), families=["EII", "VVV"], random_state=0)
    mixtura.save(choice.fit(frame), tmp_path / "model.safetensors")
    again = mixtura.load(tmp_path / "model.safetensors")
    assert list(again.feature_names_in_) == ["height", "weight"]
    assert again.n_components == choice.selection_.best.n_components
    np.testing.assert_array_equal(again.predict(frame), choice.predict(frame))


def test_a_selector_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        mixtura.save(mixtura.GaussianMixtureSelector(2), tmp_path / "model.safetensors")


def test_a_folder_that_does_not_exist_is_named(tmp_path, faithful):
    model = mixtura.GaussianMixture().fit(faithful)
    with pytest.raises(FileNotFoundError, match=r"(?s)nowhere.*Make it first"):
        mixtura.save(model, tmp_path / "nowhere" / "model.safetensors")
