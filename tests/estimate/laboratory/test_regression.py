import pytest

from fpgaml.estimate.laboratory.regression import fit
from fpgaml.estimate.residuals import repository_weights, weighted_quantile


def test_fit_finds_the_coefficients():
    rows = [({"a": a, "b": b}, 2.0 * a + 30.0 * b, 100.0) for a in (1.0, 10.0, 100.0) for b in (0.0, 1.0, 2.0)]
    found = fit(rows, {"a": 1.0, "b": 10.0})
    assert found == {"a": pytest.approx(2.0, rel=0.01), "b": pytest.approx(30.0, rel=0.02)}


def test_fit_keeps_the_prior_of_a_term_the_data_do_not_have():
    found = fit([({"a": 10.0}, 30.0, 1.0)] * 5, {"a": 1.0, "b": 7.0})
    assert found["b"] == 7.0
    assert fit([], {"a": 2.0}) == {"a": 2.0}


def test_fit_is_not_pulled_by_one_stale_row():
    rows = [({"a": float(n)}, 3.0 * n, 1.0) for n in range(1, 20)] + [({"a": 1.0}, 1e6, 1.0)]
    assert fit(rows, {"a": 1.0})["a"] == pytest.approx(3.0, rel=0.02)


def test_repository_weights():
    assert repository_weights(["a", "a", "a", "a", "b"]) == [0.5, 0.5, 0.5, 0.5, 1.0]


def test_weighted_quantile():
    assert weighted_quantile([3.0, 1.0, 2.0], [1.0, 1.0, 1.0], 0.5) == 2.0
    assert weighted_quantile([1.0, 2.0], [3.0, 1.0], 0.375) == 1.0
