import numpy as np
import pytest

from fpgaml.errors import ConfigError
from fpgaml.exact.emulate import run
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Dense, Function, Input, Network, Weights
from fpgaml.precision.profile import profile
from fpgaml.precision.recommend import Criterion, recoded, recommend
from tests import networks
from tests.precision.test_profile import IMAGES, tiny

SAT = (Rounding.RND_CONV, Overflow.SAT)


def types(found):
    return {choice.name: str(choice.recommended) for choice in found.choices}


def test_a_type_that_saturates_becomes_wide_enough():
    found = recommend(tiny(), IMAGES)  # values to 7 in 2 bits
    assert types(found) == {
        "x": "ufixed<3,3>",
        "fc.kernel": "fixed<2,2>",
        "fc.bias": "ufixed<1,1>",
        "relu": "ufixed<3,3,RND_CONV,SAT>",
    }
    assert not found.promised
    assert found.changed_outputs == 1
    assert found.choices[3].reason == "values from 0 to 7 on these images"
    assert (found.weight_bits, found.activation_bits) == ((6, 5), (8, 9))


def test_a_type_with_unused_bits_becomes_narrow_and_nothing_changes():
    wide = FixedPoint(12, 8, False, *SAT)  # 4 fraction bits of integers, 8 integer bits for 7
    found = recommend(tiny(wide), IMAGES)
    assert types(found)["relu"] == "ufixed<3,3,RND_CONV,SAT>"
    assert found.promised
    assert found.changed_outputs == 0


def test_unchanged_keeps_what_saturates():
    found = recommend(tiny(), IMAGES, Criterion.UNCHANGED)
    assert types(found)["relu"] == "ufixed<2,2,RND_CONV,SAT>"
    assert found.choices[3].reason == "saturates or wraps on these images as it is"
    assert found.promised
    assert found.changed_outputs == 0


def test_proved_holds_for_any_image():
    found = recommend(tiny(), IMAGES[:2], Criterion.PROVED)  # these use 1 bit, the worst image 3
    assert types(found)["relu"] == "ufixed<3,3,RND_CONV,SAT>"
    assert found.choices[3].reason == "values from 0 to 7 for any image"
    assert found.promised
    assert found.changed_outputs == 0


@pytest.mark.parametrize(("share", "kind"), [(0.0, "ufixed<3,3,RND_CONV,SAT>"), (0.25, "ufixed<1,1,RND_CONV,SAT>")])
def test_a_share_may_overflow(share, kind):
    found = recommend(tiny(), IMAGES, Criterion.SHARE, share=share)  # one of 0 1 7 0 is above 1
    assert types(found)["relu"] == kind
    assert not found.promised


def test_a_signed_symmetric_type_gets_a_bit_for_its_missing_code():
    kind = FixedPoint(6, 6, True, Rounding.TRN, Overflow.SAT_SYM)
    images = np.array([[0, 4], [1, 0]])  # sums -4 and 1: the lowest code of 3 bits, which SAT_SYM has not
    found = recommend(tiny(kind, Function.LINEAR), images)
    assert types(found)["relu"] == "fixed<4,4,TRN,SAT_SYM>"
    assert found.changed_outputs == 0


@pytest.mark.parametrize("criterion", [Criterion.OBSERVED, Criterion.PROVED, Criterion.UNCHANGED])
@pytest.mark.parametrize("make", [networks.mlp, networks.cnn])
def test_rerun_changes_no_bit_and_nothing_saturates(make, criterion):
    network = make()
    codes = networks.codes_for(network, 300)
    found = recommend(network, codes, criterion)
    again_codes = recoded(codes, network, found.network)
    if criterion is not Criterion.UNCHANGED:
        assert all(not t.cast.overflowed for t in profile(found.network, again_codes).tensors if t.cast)
    again = recommend(found.network, again_codes, criterion)
    assert again.promised
    assert again.changed_outputs == 0
    assert again.network == found.network


def test_the_input_loses_bits_that_no_image_sets():
    layers = (
        Input("x", (), (2,), FixedPoint(8, 0, False)),
        Dense("fc", ("x",), Weights(np.array([[3], [-2]]), FixedPoint(4, 1)), Weights(np.array([0]), FixedPoint(2, 2))),
    )
    network, codes = Network("n", layers), np.array([[4, 8], [60, 0]])
    found = recommend(network, codes)
    assert types(found)["x"] == "ufixed<4,-2>"  # multiples of 4 up to 60
    moved = recoded(codes, network, found.network)
    assert moved.tolist() == [[1, 2], [15, 0]]
    np.testing.assert_array_equal(run(found.network, moved) * 4, run(network, codes))
    assert found.changed_outputs == 0


def test_constant_tensors_are_named_so():
    found = recommend(tiny(), np.array([[3, 3], [5, 5]]))
    assert found.choices[3].reason == "values from 0 to 0 on these images (constant)"
    assert types(found)["relu"] == "ufixed<1,1,RND_CONV,SAT>"
    assert found.choices[2].reason == "all weights are zero"


def test_right_answers_are_counted_before_and_after():
    network = networks.mlp()
    codes = networks.codes_for(network, 100)
    labels = run(network, codes).argmax(axis=1)
    found = recommend(network, codes, Criterion.UNCHANGED, labels)
    assert (found.correct_before, found.correct_after) == (100, 100)


def test_a_criterion_that_no_type_meets_says_which_tensor_and_why():
    with pytest.raises(ConfigError) as error:
        recommend(tiny(), IMAGES, most_bits=2)
    assert str(error.value) == (
        "tensor 'x': no type of at most 2 bits meets criterion 'observed'; it needs 3 bits (ufixed<3,3>): "
        "values from 0 to 7 on these images"
    )


def test_a_proof_that_needs_too_many_bits_says_so():
    layers = [Input("x", (), (2,), FixedPoint(20, 20, True))]
    big = Weights(np.full((2, 2), (1 << 19) - 1), FixedPoint(20, 20))
    for at in range(3):
        layers.append(Dense(f"fc{at}", (layers[-1].name,), big, Weights(np.zeros(2, int), FixedPoint(2, 2))))
        layers.append(
            Activation(f"a{at}", (f"fc{at}",), Function.LINEAR, FixedPoint(20, 20, True, Rounding.TRN, Overflow.SAT))
        )
    with pytest.raises(ConfigError) as error:
        recommend(Network("n", tuple(layers)), np.ones((2, 2), int), Criterion.PROVED)
    assert str(error.value) == (
        "tensor 'a2': no type meets criterion 'proved': its values can need 80 bits, more than 62; use criterion "
        "'observed', or give the layers before it narrower types"
    )


@pytest.mark.parametrize(
    ("criterion", "share", "message"),
    [
        (Criterion.SHARE, 1.5, "share of overflowing values must be from 0 to below 1, not 1.5"),
        (Criterion.OBSERVED, 0.1, "a share of overflowing values belongs to criterion 'share', not 'observed'"),
    ],
)
def test_a_share_that_is_none_is_refused(criterion, share, message):
    with pytest.raises(ConfigError) as error:
        recommend(tiny(), IMAGES, criterion, share=share)
    assert str(error.value) == message
