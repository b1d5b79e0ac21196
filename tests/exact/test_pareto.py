"""The Pareto front."""

from fpgaml.exact.pareto import pareto


def test_pareto():
    assert pareto([(3, 0.9), (1, 0.5), (2, 0.9), (2, 0.7), (4, 0.8), (5, 0.95)]) == [(1, 0.5), (2, 0.9), (5, 0.95)]
    assert pareto([]) == []
