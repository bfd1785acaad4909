"""The notebook widget: its data for the scatter module, as bytes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="the extra 'notebook' is not installed")

from mixtura import GaussianMixture
from mixtura.plots.widget import scatter


def test_the_widget_carries_points_memberships_and_ellipses_as_bytes(faithful):
    model = GaussianMixture(2, random_state=0).fit(faithful)
    widget = scatter(model, faithful, columns=["eruptions", "waiting"])
    x = np.frombuffer(widget.x, "<f4")
    np.testing.assert_allclose(
        widget.x_axis["low"] + x * (widget.x_axis["high"] - widget.x_axis["low"]),
        faithful[:, 0],
        atol=1e-5,
    )
    shares = np.frombuffer(widget.memberships, np.uint8).reshape(-1, 2) / 255
    np.testing.assert_allclose(shares, model.predict_proba(faithful), atol=0.51 / 255)
    exact = np.frombuffer(widget.shares, "<u2").reshape(-1, 2) / 65535
    np.testing.assert_allclose(exact, model.predict_proba(faithful), atol=0.51 / 65535)
    assert np.array(widget.ellipses).shape == (2, 2, 64, 2)
    assert "export default { render }" in widget._esm


def test_a_missing_value_is_nan_in_the_browser(faithful):
    model = GaussianMixture(2, random_state=0).fit(faithful)
    rows = faithful.copy()
    rows[3, 0] = np.nan
    widget = scatter(model, np.ma.masked_invalid(rows))
    assert np.flatnonzero(np.isnan(np.frombuffer(widget.x, "<f4"))).tolist() == [3]
    shares = np.frombuffer(widget.shares, "<u2").reshape(-1, 2)[3] / 65535
    np.testing.assert_allclose(shares, model.predict_proba(rows)[3], atol=0.51 / 65535)
    rows[3, 0] = np.inf
    with pytest.raises(ValueError, match="finite numbers"):
        scatter(model, rows)


@pytest.mark.parametrize("shown", [(0, 0), (0, 2)])
def test_two_columns_that_are_not_there_are_refused(faithful, shown):
    with pytest.raises(ValueError, match="two different columns"):
        scatter(GaussianMixture(1).fit(faithful), faithful, shown=shown)


def test_other_columns_than_those_of_the_mixture_are_refused(faithful):
    with pytest.raises(ValueError, match="2 columns of the mixture"):
        scatter(GaussianMixture(1).fit(faithful), faithful[:, :1])
