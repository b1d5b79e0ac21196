import numpy as np
import pytest

from fpgaml.errors import ConfigError
from fpgaml.exact.accuracy import right_answers
from fpgaml.exact.emulate import run
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.floatmodel import from_network, types_of
from fpgaml.precision.sweep import Setting, Sweep, SweepPoint, Swept, network_at, sweep, swept
from tests import networks


@pytest.fixture
def subject():
    network = networks.mlp()
    codes = networks.codes_for(network, 60)
    return network, codes, run(network, codes).argmax(axis=1)


def test_every_point_is_the_accuracy_of_its_network(subject):
    network, codes, labels = subject
    model, types = from_network(network), types_of(network)
    found = sweep(model, codes, labels, widths=[8, 4], integers=[2, 1], others=types)
    assert [(p.width, p.integer) for p in found.points] == [(4, 1), (4, 2), (8, 1), (8, 2)]
    for point in found.points:
        at = network_at(model, types, found.setting, point.width, point.integer)
        assert point.correct == right_answers(at, codes, labels)
        assert point.weight_bits == point.width * 213
    assert found.accuracies.shape == (2, 2)
    assert found.accuracies[1, 0] == found.points[2].correct / 60


def test_a_point_gives_its_type_to_what_is_swept(subject):
    network, _, _ = subject
    model, types = from_network(network), types_of(network)
    setting = Setting(rounding=Rounding.TRN, overflow=Overflow.WRAP)
    at = types_of(network_at(model, types, setting, 8, 3))
    assert at.pop("x") == types["x"]
    assert set(at.values()) == {FixedPoint(8, 3)}


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (Setting(), ("fc0.kernel", "fc0.bias", "fc1.kernel", "fc1.bias", "relu0")),
        (Setting(Swept.WEIGHTS), ("fc0.kernel", "fc0.bias", "fc1.kernel", "fc1.bias")),
        (Setting(Swept.ACTIVATIONS), ("relu0",)),
        (Setting(layer="fc1"), ("fc1.kernel", "fc1.bias")),
        (Setting(layer="relu0"), ("relu0",)),
    ],
)
def test_a_setting_names_its_tensors(subject, setting, names):
    assert swept(from_network(subject[0]), setting) == names


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(layer="fc2"), "'mlp' has no layer 'fc2' to sweep; did you mean 'fc1'?"),
        (Setting(Swept.ACTIVATIONS, "fc1"), "layer 'fc1' has no activations tensors"),
        (Setting(layer="x"), "layer 'x' has no typed tensors"),
    ],
)
def test_nothing_to_sweep_is_refused(subject, setting, message):
    with pytest.raises(ConfigError) as error:
        swept(from_network(subject[0]), setting)
    assert str(error.value) == message


def test_an_empty_sweep_is_refused(subject):
    network, codes, labels = subject
    with pytest.raises(ConfigError) as error:
        sweep(from_network(network), codes, labels, widths=[], integers=[1], others=types_of(network))
    assert str(error.value) == "a sweep needs at least one total width and one number of integer bits"


def test_table_and_best_point():
    points = (SweepPoint(4, 1, 50, 0), SweepPoint(4, 2, 90, 0), SweepPoint(6, 1, 90, 0), SweepPoint(6, 2, 80, 0))
    found = Sweep("n", Setting(), 100, (4, 6), (1, 2), points)
    assert found.best == points[1]
    assert found.table() == (
        "| total bits | 1 integer | 2 integer |\n|---:|---:|---:|\n| 4 | 50.00 | 90.00 |\n| 6 | 90.00 | 80.00 |"
    )
    np.testing.assert_array_equal(found.accuracies, [[0.5, 0.9], [0.9, 0.8]])
