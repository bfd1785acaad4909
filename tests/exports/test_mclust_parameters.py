"""Parameters that R wrote give the densities of mclust itself."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from conftest import TRUTH, read_truth
from mixtura import DataWarning, GaussianMixture, ModelFileError
from mixtura.exports.mclust_parameters import from_mclust_parameters
from mixtura.families import family_named

CASES = {case["name"][0]: case for case in read_truth("mclust_parameters.json")}
ONE_COMPONENT = {"X": "EII", "XII": "EII", "XXI": "EEI", "XXX": "EEE"}

DIGITS = 1e-12
"""R writes 15 digits of numbers up to about 100, and a whitened row multiplies their rounding."""


def changed(change: dict[str, Any], name: str = "VVV") -> dict[str, Any]:
    """The parameters of a case with other entries."""
    return copy.deepcopy(CASES[name]["fit"]["parameters"]) | change


@pytest.mark.parametrize("name", CASES)
def test_densities_and_memberships_are_those_of_mclust(name):
    case = CASES[name]
    read = GaussianMixture.from_mclust(case["fit"])
    rows = np.array(case["rows"], dtype=float)
    np.testing.assert_allclose(
        read.mixture_.log_density(rows), case["log_density"], rtol=DIGITS, atol=DIGITS
    )
    np.testing.assert_allclose(read.mixture_.posterior(rows), case["z"], rtol=0, atol=1e-9)
    letters = case["fit"]["parameters"]["variance"]["modelName"][0]
    assert read.covariance_type == ONE_COMPONENT.get(letters) or family_named(letters).name


@pytest.mark.parametrize("name", ["VVI", "noise", "V", "XXX"])
def test_the_parameters_alone_are_enough(name):
    """A noise term has its volume in Vinv."""
    if name == "XXX":
        name = "EEE 1"
    fit = CASES[name]["fit"]
    whole, alone = from_mclust_parameters(fit), from_mclust_parameters(fit["parameters"])
    rows = np.array(CASES[name]["rows"], dtype=float)
    np.testing.assert_array_equal(whole.mixture.log_joint(rows), alone.mixture.log_joint(rows))
    assert alone.mixture.columns is None
    assert whole.family == alone.family


def test_names_of_columns_and_the_facts_come_along():
    read = GaussianMixture.from_mclust(CASES["noise"]["fit"])
    assert read.feature_names_in_.tolist() == ["eruptions", "waiting"]
    assert read.noise_volume_ == pytest.approx(CASES["noise"]["fit"]["hypvol"][0], rel=1e-12)
    assert from_mclust_parameters(CASES["V"]["fit"]).mixture.columns is None
    assert from_mclust_parameters(CASES["VVV"]["fit"]).facts["n"] == 150


def test_a_file_of_json_and_one_of_csv_are_the_same_mixture():
    from_json = GaussianMixture.from_mclust(TRUTH / "mclust_iris.json")
    from_csv = GaussianMixture.from_mclust(TRUTH / "mclust_iris.csv")
    X = load_iris().data
    np.testing.assert_allclose(
        from_csv.mixture_.log_density(X), from_json.score_samples(X), rtol=DIGITS, atol=DIGITS
    )
    assert from_csv.covariance_type == from_json.covariance_type == "VEV"
    assert from_csv.feature_names_in_[0] == "Sepal.Length"


def test_csv_with_noise_and_of_one_column():
    noisy = from_mclust_parameters(TRUTH / "mclust_noise.csv").mixture
    rows = np.array(CASES["noise"]["rows"])
    np.testing.assert_allclose(
        noisy.log_density(rows), CASES["noise"]["log_density"], rtol=DIGITS, atol=DIGITS
    )
    one = from_mclust_parameters(TRUTH / "mclust_one_column.csv").mixture
    rows = np.array(CASES["V"]["rows"])
    np.testing.assert_allclose(
        one.log_density(rows), CASES["V"]["log_density"], rtol=DIGITS, atol=DIGITS
    )


def test_numbers_need_no_lists_of_one():
    """As toJSON writes them with auto_unbox."""
    plain = {"pro": 1, "mean": 3.5, "variance": {"modelName": "X", "d": 1, "sigmasq": 1.3}}
    read = GaussianMixture.from_mclust(json.dumps(plain))
    assert read.means_.tolist() == [[3.5]]
    assert read.covariances_.tolist() == 1.3
    assert read.weights_.tolist() == [1.0]


OBLIQUE = np.repeat((np.eye(4) + 0.5)[:, :, None], 3, axis=2)
"""Three equal covariances with correlations, as an array of R."""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "'variance' is missing"),
        (changed({"variance": []}), "variance must be an object"),
        (changed({"variance": {"modelName": ["VVV"]}}), "sigma is missing. Write all of fit"),
        (changed({"variance": {"sigmasq": [1.0]}}), "sigma is missing, which VVV in 4 columns"),
        (changed({"pro": [0.5, 0.5]}), "pro must have 3 entries, or 4 with noise, but has 2"),
        (changed({"pro": [0.5, 0.5, 0.5]}), "sum to 1, but sums to 1.5"),
        (changed({"pro": [0.2, 0.2, 0.5, 0.1]}), "one entry more.*for noise, but Vinv is missing"),
        (changed({"mean": "many"}), "mean must be numbers, but is 'many'"),
        (changed({"mean": [[1, 2], [1]]}), "mean must be numbers"),
        (changed({"mean": [[1, 2], ["NA", 1]]}), "mean must be numbers"),
        (
            changed({"variance": {"modelName": ["ABC"], "sigmasq": [1]}}),
            "modelName must be mclust's letters such as VVV, but is 'ABC'",
        ),
        (
            changed({"variance": {"modelName": ["XXX"], "sigmasq": [1]}}),
            "modelName is XXX, which is of one component, but mean has 3",
        ),
        (
            changed({"variance": {"sigma": [[1.0, 0.0], [0.0, 1.0]]}}),
            r"sigma must have the shape \(4, 4, 3\) of R's array, but has \(2, 2\)",
        ),
        (
            changed({"variance": {"sigma": np.zeros((4, 4, 3)).tolist()}}),
            "the covariance of component 0 must be positive definite",
        ),
        (
            changed({"variance": {"modelName": ["VVI"], "sigma": OBLIQUE.tolist()}}),
            "modelName is VVI, but the covariances are not of that shape",
        ),
        (
            changed({"variance": {"modelName": ["EEE"], "sigma": (OBLIQUE * [1, 2, 3]).tolist()}}),
            "modelName is EEE, but the covariances are not of that shape",
        ),
    ],
)
def test_what_is_wrong_is_named(parameters, message):
    with pytest.raises(ModelFileError, match=message):
        from_mclust_parameters(parameters)


def test_a_table_that_is_no_table_of_components(tmp_path):
    path = tmp_path / "fit.csv"
    for text, message in (
        ("", "the columns are none"),
        ("a,b\n1,2\n", "expected a line for each component.*the columns are 'a', 'b'"),
        ("pro,mean.1,mean.2,sigma.1,sigma.2\n1,0,0,1,1\n", "expected a line"),
        ("pro,mean,sigma\n1,two,3\n", "the column 'mean' must be numbers"),
        ("pro,mean,sigma\n1,2\n", "the column 'sigma' must be numbers"),
    ):
        path.write_text(text)
        with pytest.raises(ModelFileError, match=message):
            GaussianMixture.from_mclust(path)


def test_four_decimals_are_noticed():
    """As jsonlite writes them without digits = NA; three proportions then do not sum to one."""
    rounded = changed({}, "noise")
    for key in ("mean", "pro"):
        rounded[key] = np.round(rounded[key], 4).tolist()
    rounded["variance"]["sigma"] = np.round(rounded["variance"]["sigma"], 4).tolist()
    with pytest.warns(
        DataWarning, match=r"all means and covariances have four decimals.*digits = NA"
    ):
        GaussianMixture.from_mclust(rounded)
    with pytest.raises(ModelFileError, match=r"sums to 0.9999. In R, write by.*digits = NA"):
        from_mclust_parameters(rounded | {"pro": [0.3333, 0.3333, 0.3333]})


def test_the_order_of_sigma_is_that_of_r():
    """A covariance that is not symmetric over components would be read wrongly by another order."""
    sigma = np.array(CASES["VVV"]["fit"]["parameters"]["variance"]["sigma"])
    read = GaussianMixture.from_mclust(CASES["VVV"]["fit"])
    assert sigma.shape == (4, 4, 3)
    for k in range(3):
        np.testing.assert_allclose(read.covariances_[k], sigma[:, :, k], rtol=1e-14)
