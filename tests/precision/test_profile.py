import json
from math import log10

import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.exact import emulate
from fpgaml.ir.accumulate import Interval, tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Dense, Function, Input, Network, Weights
from fpgaml.precision import profile
from fpgaml.precision.profile import Role, noise, plain, profile_floats, safe_codes
from tests import networks

SAT = (Rounding.RND_CONV, Overflow.SAT)


NARROW = FixedPoint(2, 2, False, *SAT)


def tiny(kind=NARROW, function=Function.RELU):
    """y = relu(a - b) for a, b from 0 to 7."""
    kernel = Weights(np.array([[1], [-1]]), FixedPoint(2, 2))
    return Network(
        "tiny",
        (
            Input("x", (), (2,), FixedPoint(3, 3, False)),
            Dense("fc", ("x",), kernel, Weights(np.array([0]), FixedPoint(2, 2))),
            Activation("relu", ("fc",), function, kind),
        ),
    )


IMAGES = np.array([[0, 0], [1, 0], [7, 0], [0, 7]])  # sums 0 1 7 -7


def test_a_saturating_relu_by_hand():
    found = profile.profile(tiny(), IMAGES)
    assert [t.name for t in found.tensors] == ["x", "fc.kernel", "fc.bias", "fc", "relu"]
    cast = found["relu"].cast  # 0 1 7 0 in, 0 1 3 0 out
    assert (cast.count, cast.overflowed, cast.underflowed) == (4, 1, 0)
    assert cast.signal_to_noise_db == 10 * log10(50 / 16)
    assert (cast.overflow_share, cast.underflow_share) == (0.25, 0.0)
    assert found["relu"].bit_use == (0.5, 0.25)
    assert found["relu"].statistics.zeros == 2


def test_an_accumulator_knows_worst_case_and_use():
    found = profile.profile(tiny(), IMAGES[:2])["fc"]
    assert found.role is Role.ACCUMULATOR
    assert found.type == FixedPoint(4, 4)
    assert (found.proved_bits, found.used_bits) == (4, 1)  # -7 to 7 against 0 to 1
    assert (found.spare_integer, found.spare_fraction, found.effective_bits) == (3, 0, 1)
    assert found.bit_use == (0.5, 0.0, 0.0, 0.0)


def test_values_below_half_a_step_underflow():
    found = profile.profile(tiny(FixedPoint(2, 4, False, *SAT)), IMAGES)["relu"]  # steps of 4: 1 -> 0, 7 -> 8
    assert (found.cast.overflowed, found.cast.underflowed) == (0, 1)
    assert found.cast.signal_to_noise_db == 10 * log10(50 / 2)


def test_a_wrapping_type_overflows_on_both_sides():
    found = profile.profile(tiny(FixedPoint(3, 3, True), Function.LINEAR), IMAGES)["relu"]  # 7 -> -1, -7 -> 1
    assert found.cast.overflowed == 2
    assert (found.low_code, found.high_code) == (-1, 1)


def test_overflow_by_class_is_a_share_of_the_values_of_its_images():
    found = profile.profile(tiny(), IMAGES, np.array([4, 4, 4, 9]))
    assert found.classes == (4, 9)
    assert found["relu"].cast.overflow_by_class == (1 / 3, 0.0)


def test_unused_fraction_and_integer_bits():
    kernel = Weights(np.array([[8], [-4]]), FixedPoint(8, 2))
    network = Network(
        "n",
        (
            Input("x", (), (2,), FixedPoint(3, 3, False)),
            Dense("fc", ("x",), kernel, Weights(np.array([0]), FixedPoint(2, 2))),
        ),
    )
    found = profile.profile(network, IMAGES)["fc.kernel"]  # -4 to 8: 5 bits; multiples of 4
    assert (found.used_bits, found.spare_integer, found.spare_fraction, found.effective_bits) == (5, 3, 2, 3)


def test_float_weights_show_what_their_quantization_did():
    floats = {"fc.kernel": np.array([[1.25], [-4.0]])}
    cast = profile.profile(tiny(), IMAGES, weights=floats)["fc.kernel"].cast
    assert (cast.overflowed, cast.underflowed) == (1, 0)  # -4 became -1, past the smallest code -2 all the same
    assert cast.signal_to_noise_db == 10 * log10((1.25**2 + 16) / (0.25**2 + 9))


@pytest.mark.parametrize("build", [networks.mlp, networks.cnn])
def test_counts_equal_those_of_the_whole_trace(build, monkeypatch):
    monkeypatch.setattr(emulate, "CHUNK_BYTES", 1)  # many chunks
    network = build()
    codes = networks.codes_for(network, 200)
    traced, found = emulate.trace(network, codes), profile.profile(network, codes)
    for tensor in found.tensors:
        if tensor.role is Role.WEIGHT:
            continue
        values = tensor_types(network)[tensor.name].decode(traced[tensor.name])
        assert (tensor.statistics.minimum, tensor.statistics.maximum) == (values.min(), values.max())
        assert tensor.statistics.distinct == len(np.unique(values))
        assert tensor.statistics.zeros == np.count_nonzero(values == 0)
        assert tensor.statistics.count == values.size
        if tensor.cast:
            layer = network[tensor.name]
            source = traced[layer.sources[0]]
            if layer.function is Function.RELU:
                source = np.maximum(source, 0)
            fraction = tensor_types(network)[layer.sources[0]].fraction
            wide = FixedPoint(60, 60 - layer.type.fraction, True, *SAT).cast(source, fraction)
            assert tensor.cast.overflowed == np.count_nonzero((wide < layer.type.low) | (wide > layer.type.high))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("kind", ["ufixed<3,2>", "fixed<3,1>", "fixed<4,6>"])
def test_safe_codes_are_those_that_do_not_overflow(rounding, kind):
    base = FixedPoint.parse(kind)
    layer = Activation(
        "a", ("x",), Function.LINEAR, FixedPoint(base.width, base.integer, base.signed, rounding, Overflow.SAT)
    )
    codes = np.arange(-300, 301)
    wide = FixedPoint(60, 60 - base.fraction, True, rounding, Overflow.SAT).cast(codes, 4)
    safe = codes[(wide >= layer.type.low) & (wide <= layer.type.high)]
    assert safe_codes(layer, Interval(-300, 300, 4)) == (safe[0], safe[-1])


def test_noise_against_float_outputs():
    batches = [{"relu": np.array([[0.0], [1.0]])}, {"relu": np.array([[5.0], [0.0]])}]
    assert noise(tiny(), IMAGES, batches) == {"relu": 10 * log10(26 / 4)}
    assert noise(tiny(), IMAGES[:2], batches[:1]) == {"relu": None}


def test_noise_of_other_images_is_refused():
    with pytest.raises(DataError) as error:
        noise(tiny(), IMAGES, [{"relu": np.zeros((2, 1))}])
    assert str(error.value) == "the float outputs are of 2 images and the codes of 4; they must be the same"


def test_float_activations_are_profiled_by_name():
    found = profile_floats([{"a": np.array([1.0, 2.0])}, {"a": np.array([-4.0]), "b": np.zeros(3)}])
    assert (found["a"].minimum, found["a"].maximum, found["a"].total) == (-4.0, 2.0, 3)
    assert (found["b"].minimum, found["b"].maximum, found["b"].total) == (0.0, 0.0, 3)


def test_a_profile_is_json():
    record = json.loads(json.dumps(plain(profile.profile(tiny(), IMAGES, np.array([0, 1, 1, 1])))))
    assert record["tensors"][4]["name"] == "relu"
    assert record["tensors"][4]["type"] == "ufixed<2,2,RND_CONV,SAT>"
    assert record["classes"] == [0, 1]


def test_a_profile_read_back_is_equal():
    found = profile.profile(tiny(), IMAGES, np.array([0, 1, 1, 1]), {"fc.kernel": np.array([[1.25], [-4.0]])})
    assert profile.from_record(json.loads(json.dumps(plain(found)))) == found


def test_one_image_is_enough_and_none_is_not():
    assert profile.profile(tiny(), IMAGES[:1]).images == 1
    with pytest.raises(DataError) as error:
        profile.profile(tiny(), IMAGES[:0])
    assert str(error.value) == "a profile of 'tiny' needs at least one image; the data set is empty"


@pytest.mark.parametrize(
    ("codes", "labels", "weights", "message"),
    [
        (np.zeros((3, 5), int), None, None, "images must have shape (images, 2), not (3, 5)"),
        (np.full((3, 2), 9), None, None, "codes from 9 to 9 do not fit the input type ufixed<3,3>"),
        (IMAGES, np.zeros(3), None, "labels must have shape (4,), one for each image, not (3,)"),
        (IMAGES, None, {"fc1.kernel": np.zeros(1)}, "float weights name 'fc1.kernel', which network 'tiny' has not"),
        (
            IMAGES,
            None,
            {"fc.kernel": np.zeros(1)},
            "float weights of 'fc.kernel' must have shape (2, 1), not (1,)",
        ),
        (
            IMAGES,
            None,
            {"fc.kernel": np.array([[np.inf], [0]])},
            "float weights of 'fc.kernel' must be finite, not NaN or infinite",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(codes, labels, weights, message):
    with pytest.raises(DataError) as error:
        profile.profile(tiny(), codes, labels, weights)
    assert str(error.value) == message
