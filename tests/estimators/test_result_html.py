"""Estimators in a notebook: scikit-learn's diagram, and the result below it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from mixtura import GaussianMixture, GaussianMixtureSelector
from mixtura.estimators.html import fit_html
from mixtura.model.soundness import Soundness

FAITHFUL = pd.read_csv(Path(__file__).parents[2] / "examples" / "old_faithful.csv")


class Reader(HTMLParser):
    """Open tags, all tags, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def result_of(estimator):
    """The HTML below scikit-learn's diagram."""
    html = estimator._repr_html_()
    return html[html.index('<div class="mixtura-result"') :]


@pytest.fixture(scope="module")
def fitted():
    return GaussianMixture(3, covariance_type="EEE", component_order="weight", random_state=0).fit(
        FAITHFUL
    )


@pytest.mark.parametrize("estimator", [GaussianMixture(2), GaussianMixtureSelector((1, 2))])
def test_before_a_fit_the_html_is_that_of_scikit_learn(estimator):
    def without_ids(html):
        return re.sub(r"sk-[a-z-]*-?id-\d+", "", html)

    assert without_ids(estimator._repr_html_()) == without_ids(estimator_html_repr(estimator))


def test_a_fit_shows_family_k_bic_and_its_certificate(fitted):
    text = read(result_of(fitted)).text
    for shown in (
        "EEE, 3 components",
        f"BIC {fitted.bic(FAITHFUL):,.2f} (lower is better)",
        fitted.stop_reason_,
    ):
        assert shown in text
    assert fitted.certificate_.verdict in text


def test_a_row_for_each_component_has_its_weight_mean_and_deviation(fitted):
    result = read(result_of(fitted))
    assert sum(tag == "tr" for tag, _ in result.seen) == 4
    for k, weight in enumerate(fitted.weights_):
        mean, deviation = fitted.means_[k, 0], np.sqrt(fitted.covariances_[0, 0])
        assert f"{k}{100 * weight:.0f} %{mean:.4g} ± {deviation:.2g}" in result.text


def test_the_parts_of_the_bar_are_proportional_to_the_weights(fitted):
    parts = [attrs for tag, attrs in read(result_of(fitted)).seen if tag == "rect"]
    assert [float(part["width"]) for part in parts] == pytest.approx(
        (100 * fitted.weights_).tolist(), abs=0.001
    )
    assert len({part["fill"] for part in parts}) == 3


def test_scikit_learns_diagram_stays_above(fitted):
    assert fitted._repr_html_().startswith(estimator_html_repr(fitted)[:40])
    assert fitted._repr_mimebundle_()["text/plain"] == repr(fitted)
    assert "mixtura-result" in fitted._repr_mimebundle_()["text/html"]


def test_the_display_setting_of_scikit_learn_is_respected(fitted):
    with sklearn.config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]


def test_names_of_columns_are_text_and_never_markup():
    name = '<img src=x onerror="alert(1)">&'
    frame = FAITHFUL.rename(columns={"waiting": name})
    for estimator in (
        GaussianMixture(2, random_state=0),
        GaussianMixtureSelector(2, families=["EEE"], random_state=0),
    ):
        result = read(result_of(estimator.fit(frame)))
        assert not {"img", "script"} & {tag for tag, _ in result.seen}
        assert name in result.text


def test_a_selection_shows_its_sentences_and_the_winner():
    selector = GaussianMixtureSelector((2, 3), families=["EEE", "VVV"], random_state=0).fit(
        FAITHFUL
    )
    text = read(result_of(selector)).text
    assert all(sentence in text for sentence in selector.selection_.sentences)
    assert "EEE, 3 components" in text


def test_a_spurious_component_is_named_once():
    X = np.concatenate([np.random.default_rng(0).standard_normal((250, 2)), [[1e6, 1e6]]])
    with pytest.warns(match="spurious component"):
        model = GaussianMixture(2, random_state=0).fit(X)
    assert read(result_of(model)).text.count("chance can place such a component") == 1


def test_a_fit_without_a_certificate_shows_its_findings():
    copies = Soundness(
        np.full(2, 3.0),
        np.full(2, 50.0),
        own_rows=3,
        own_parameters=6,
        n_features=2,
        total=100.0,
        copies=((0, 1),),
    )
    fit = GaussianMixture(2, random_state=0).fit(FAITHFUL).result_
    text = read(fit_html(replace(fit, soundness=copies, certificate=None))).text
    assert "Component 1 (copy): it is an exact copy of component 0." in text


def test_equal_rows_are_described():
    X = np.array([0.0, 1.0, 5.0] * 30)[:, None]
    model = GaussianMixture(2, covariance_type="VII", random_state=0).fit(X)
    assert "30 rows have exactly the value 5" in read(result_of(model)).text


def test_the_table_is_limited_and_counts_the_rest():
    X = np.random.default_rng(0).normal(size=(500, 12)) + 9 * np.arange(25).repeat(20)[:, None]
    text = read(
        result_of(GaussianMixture(25, covariance_type="EII", n_init=1, random_state=0).fit(X))
    ).text
    assert "5 more components" in text
    assert "4 more columns" in text
    assert "column 7" in text
    assert "column 8" not in text


def test_clones_and_pipelines_show_what_scikit_learn_shows(fitted):
    assert "mixtura-result" not in clone(fitted)._repr_html_()
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(FAITHFUL)
    assert "GaussianMixture" in pipeline._repr_html_()
