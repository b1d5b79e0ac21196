import numpy as np
import pytest

from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.accuracy import right_answers
from fpgaml.exact.emulate import run, trace
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.floatmodel import from_network, types_of
from fpgaml.precision.posttraining import best_type, less, quantize, start_types
from fpgaml.precision.profile import profile_floats
from tests import networks

SAT = (Rounding.RND_CONV, Overflow.SAT)


@pytest.fixture
def subject():
    """A "float" model whose right answers are its own."""
    network = networks.mlp(sizes=(20, 12, 5))
    codes = networks.codes_for(network, 400)
    labels = run(network, codes).argmax(axis=1)
    relu = types_of(network)["relu0"].decode(trace(network, codes)["relu0"])
    return from_network(network), profile_floats([{"relu0": relu}]), codes, labels


def test_integer_bits_hold_the_largest_value():
    assert best_type(np.array([0.3, -1.7]), None, 8, signed=True, clip=False) == FixedPoint(8, 2, True, *SAT)
    assert best_type(np.array([0.3, 3.9]), None, 8, signed=False, clip=False) == FixedPoint(8, 2, False, *SAT)
    assert best_type(np.zeros(3), None, 8, signed=True, clip=False) == FixedPoint(8, 1, True, *SAT)


def test_one_rare_large_value_is_clipped_for_the_many():
    values, counts = np.array([0.3, 4.0]), np.array([100000, 1])
    # steps of 1/16 to 0.4375: 100000 * 0.0125**2 + 3.5625**2 = 28; of 1/8: 100000 * 0.05**2 + ... = 260
    assert best_type(values, counts, 3, signed=False) == FixedPoint(3, -1, False, *SAT)
    assert best_type(values, np.array([1, 1]), 3, signed=False) == FixedPoint(3, 3, False, *SAT)


def test_one_bit_less_is_the_lowest_or_the_highest():
    assert less(FixedPoint(6, 2, False, *SAT)) == (FixedPoint(5, 2, False, *SAT), FixedPoint(5, 1, False, *SAT))
    assert less(FixedPoint(2, 1)) == ()


def test_start_types_have_the_bits_asked_for(subject):
    model, ranges, _, _ = subject
    found = start_types(model, ranges, bits=5)
    assert {name: kind.width for name, kind in found.items()} == {
        "fc0.kernel": 5, "fc0.bias": 8, "fc1.kernel": 5, "fc1.bias": 8, "x": 8, "relu0": 5,
    }  # fmt: skip
    assert found["x"] == FixedPoint(8, 0, signed=False)
    assert found["relu0"] == FixedPoint(5, 2, False, *SAT)


def test_the_search_stays_within_the_loss_and_saves_bits(subject):
    model, ranges, codes, labels = subject
    found = quantize(model, ranges, codes, labels, float_right=np.ones(400, bool), loss=0.1)
    first = found.trials[0]
    assert found.correct == right_answers(found.network, codes, labels)
    assert found.correct >= 0.9 * 400
    assert found.weight_bits < first.weight_bits
    assert found.activation_bits < first.activation_bits
    assert types_of(found.network) == dict(found.types)
    kept = [trial for trial in found.trials if trial.kept]
    assert kept[-1].correct == found.correct
    assert kept[-1].weight_bits == found.weight_bits


def test_without_refinement_the_start_types_stay(subject):
    model, ranges, codes, labels = subject
    found = quantize(model, ranges, codes, labels, float_right=np.ones(400, bool), loss=0.1, refine=False)
    assert dict(found.types) == start_types(model, ranges)
    assert len(found.trials) == 1


def test_a_loss_that_no_types_keep_says_what_was_found(subject):
    model, ranges, codes, labels = subject
    wrong = (labels + 1) % 5
    with pytest.raises(ConfigError) as error:
        quantize(model, ranges, codes, wrong, float_right=np.ones(400, bool), bits=16)
    assert str(error.value) == (
        "no types of up to 16 bits keep 'mlp' within the loss: float has 400 of 400 right answers, the best types 0; "
        "allow a larger loss or give more images, and check that the float model was trained on the values that the "
        "input type gives (pixels are uint8 / 256)"
    )


def test_an_activation_without_a_range_is_refused(subject):
    model, _, codes, labels = subject
    with pytest.raises(DataError) as error:
        quantize(model, {}, codes, labels, float_right=np.ones(400, bool))
    assert str(error.value) == "activation 'relu0' of 'mlp' has no float range; profile it first"


@pytest.mark.parametrize(
    ("loss", "right", "kind", "message"),
    [
        (1.5, 400, ConfigError, "loss must be a share of the images from 0 to below 1, not 1.5"),
        (0.1, 3, DataError, "float_right must have shape (400,), one for each image, not (3,)"),
    ],
)
def test_wrong_settings_are_refused(subject, loss, right, kind, message):
    model, ranges, codes, labels = subject
    with pytest.raises(kind) as error:
        quantize(model, ranges, codes, labels, float_right=np.ones(right, bool), loss=loss)
    assert str(error.value) == message
