import json

import pytest

from fpgaml.estimate.laboratory.calibrate import FOLDER, OUTPUT, calibrate, digest


@pytest.fixture(scope="module")
def shipped():
    return json.loads((FOLDER / OUTPUT).read_text())


@pytest.fixture(scope="module")
def fresh():
    return calibrate()


def test_the_coefficients_are_of_these_data(shipped):
    assert shipped["data"] == digest()
    assert (shipped["designs"], shipped["repositories"]) == (86, 18)


def test_the_declared_errors_are_what_the_data_give(shipped, fresh):
    for level in ("design", "layer"):
        assert shipped["errors"][level].keys() == fresh["errors"][level].keys()
        for metric, row in shipped["errors"][level].items():
            assert fresh["errors"][level][metric] == pytest.approx(row, abs=0.002), (level, metric)


def test_the_coefficients_are_what_the_data_give(shipped, fresh):
    for metric, regimes in shipped["layers"].items():
        for regime, row in regimes.items():
            assert fresh["layers"][metric][regime] == pytest.approx(row, rel=0.01, abs=1e-3), (metric, regime)
    for name, row in shipped["between"].items():
        assert fresh["between"][name] == pytest.approx(row, rel=0.01, abs=1e-3), name
    for level, metrics in shipped["spreads"].items():
        for metric, groups in metrics.items():
            for group, ends in groups.items():
                assert fresh["spreads"][level][metric][group] == pytest.approx(ends, abs=0.01), (level, metric, group)
