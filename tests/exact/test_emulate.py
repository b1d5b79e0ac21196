"""The emulator against the slow, obvious form of the same arithmetic, for every layer kind; no tolerance."""

import numpy as np
import pytest

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.ir.accumulate import intervals, tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    KINDS,
    Activation,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Table,
    Upsample,
    Weights,
)
from fpgaml.target.output_head import Head, with_head
from tests import slow
from tests.networks import RELU, VALID, cnn, codes_for, mlp, weights

RNG = np.random.default_rng(3)
SIGNED = FixedPoint(7, 3)


def network(*layers, shape=(5, 6, 3), kind=SIGNED):
    return Network("n", (Input("x", (), shape, kind), *layers))


def single(layer):
    return network(layer)


def relu_to(rounding, overflow, signed=True):
    return network(
        Activation(
            "a", ("x",), Function.RELU if not signed else Function.LINEAR, FixedPoint(4, 2, signed, rounding, overflow)
        )
    )


ONE_BIT = FixedPoint(1, 1, False, Rounding.TRN, Overflow.SAT)
CASES = {
    "mlp": mlp(),
    "cnn": cnn(),
    "dense on a map": single(Dense("d", ("x",), weights(RNG, 3, 4), weights(RNG, 4, bits=9, integer=2))),
    "bias finer than the products": single(
        Dense("d", ("x",), weights(RNG, 3, 4), weights(RNG, 4, bits=12, integer=-3))
    ),
    "conv strides and odd padding": single(
        Conv("c", ("x",), weights(RNG, 3, 2, 3, 4), weights(RNG, 4), (2, 3), ((0, 1), (2, 0)))
    ),
    "conv 1d": network(Conv("c", ("x",), weights(RNG, 3, 2, 4), weights(RNG, 4), (2,), ((1, 1),)), shape=(9, 2)),
    "depthwise": single(DepthwiseConv("c", ("x",), weights(RNG, 3, 2, 3), weights(RNG, 3), (1, 2), ((1, 1), (0, 1)))),
    "max pool": single(MaxPool("p", ("x",), (2, 3), (2, 2), ((1, 0), (1, 1)))),
    "average pool, power of two": single(AveragePool("p", ("x",), (2, 2), (2, 2), VALID, FixedPoint(9, 3))),
    "average pool over padding": single(
        AveragePool(
            "p", ("x",), (3, 3), (2, 2), ((1, 1), (1, 1)), FixedPoint(6, 3, True, Rounding.RND_CONV, Overflow.SAT)
        )
    ),
    "steep relu": single(
        Activation("a", ("x",), Function.RELU, FixedPoint(6, 3, True, Rounding.RND_CONV, Overflow.SAT), 2.0)
    ),
    "leaky relu": single(
        Activation("a", ("x",), Function.RELU, FixedPoint(6, 3, True, Rounding.RND_CONV, Overflow.SAT), 0.25)
    ),
    "table": single(Table("t", ("x",), FixedPoint(4, 2, True, Rounding.RND, Overflow.SAT), weights(RNG, 16, bits=8))),
    "prelu": single(PRelu("p", ("x",), weights(RNG, 1, 1, 3))),
    "prelu, a slope each": single(PRelu("p", ("x",), Weights(RNG.integers(-9, 9, (5, 6, 3)), FixedPoint(5, 7)))),
    "affine": single(Affine("s", ("x",), weights(RNG, 3, bits=10), weights(RNG, 3, bits=14))),
    "reshape, pad": network(Reshape("r", ("x",), (6, 5, 3)), Pad("p", ("r",), ((1, 2), (0, 3)))),
    "upsampling": single(Upsample("u", ("x",), (2, 3))),
    "upsampling 1d": network(Upsample("u", ("x",), (2,)), shape=(4, 3)),
    "argmax": with_head(network(Dense("d", ("x",), weights(RNG, 5, 4), weights(RNG, 4)), shape=(5,)), Head.ARGMAX),
    "argmax of equals": with_head(
        network(
            Activation("a", ("x",), Function.RELU, FixedPoint(1, 1, False, Rounding.TRN, Overflow.SAT)), shape=(6,)
        ),
        Head.ARGMAX,
    ),
    "softmax": with_head(network(Dense("d", ("x",), weights(RNG, 5, 4), weights(RNG, 4)), shape=(5,)), Head.SOFTMAX),
    "multiply": network(
        Activation("a", ("x",), Function.LINEAR, FixedPoint(5, 4)),
        Multiply("m", ("a", "x")),
        Multiply("n", ("m", "m")),
    ),
    "flatten": single(Flatten("f", ("x",))),
    "add and concatenate": network(
        Activation("a", ("x",), Function.LINEAR, FixedPoint(5, 4)),
        Activation("b", ("x",), Function.RELU, RELU),
        Add("s", ("a", "b", "x")),
        Concatenate("c", ("s", "a")),
    ),
    "float64": single(Dense("d", ("x",), weights(RNG, 3, 4, bits=24), weights(RNG, 4))),
    "int64": single(Dense("d", ("x",), weights(RNG, 3, 4, bits=52), weights(RNG, 4))),
    **{f"{r} {o}": relu_to(r, o) for r in Rounding for o in Overflow},
    **{f"unsigned relu {o}": relu_to(Rounding.RND, o, signed=False) for o in Overflow},
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_obvious_form(name):
    made = CASES[name]
    codes = codes_for(made, 3, seed=7)
    found = emulate.trace(made, codes)
    for at, image in enumerate(codes):
        for layer, expected in slow.run(made, image).items():
            np.testing.assert_array_equal(found[layer][at], expected, err_msg=f"{name}, layer {layer}")


def test_every_kind_of_layer_is_covered():
    used = {type(layer).__name__ for made in CASES.values() for layer in made}
    assert used == set(KINDS)


@pytest.mark.parametrize(("bits", "word"), [(6, np.float32), (24, np.float64), (52, np.int64)])
def test_the_number_type_follows_from_the_bound(bits, word):
    made = single(Dense("d", ("x",), weights(RNG, 3, 4, bits=bits), weights(RNG, 4)))
    assert emulate.word(intervals(made)["d"]) is word


def test_chunks_and_threads_change_nothing(monkeypatch):
    made, codes = cnn(), codes_for(cnn(), 200)
    expected = emulate.run(made, codes)
    monkeypatch.setattr(emulate, "CHUNK_BYTES", 1)  # 16 images a chunk
    np.testing.assert_array_equal(emulate.run(made, codes), expected)


@pytest.mark.parametrize(
    ("made", "largest"),
    [
        (mlp(), 20),  # the input
        (mlp(sizes=(4, 50, 5)), 50),  # the first layer
        (cnn(), 8 * 8 * 3 * 3 * 2),  # the windows of the first convolution, side by side
        (single(DepthwiseConv("c", ("x",), weights(RNG, 3, 2, 3), weights(RNG, 3), (1, 1), VALID)), 5 * 6 * 3),
        (mlp(sizes=(100_000, 1)), 65_536),  # never fewer than 16 images
    ],
)
def test_four_megabytes_of_the_largest_tensor_are_a_chunk(made, largest):
    assert emulate.Emulator(made).chunk == 4 * 1024 * 1024 // (4 * largest)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("images", [0, 15, 16, 17, 200])
def test_each_image_is_in_one_chunk_in_order(images, workers, monkeypatch):
    monkeypatch.setattr(emulate, "CHUNK_BYTES", 1)  # 16 images a chunk
    monkeypatch.setattr(emulate.os, "sched_getaffinity", lambda _: range(workers))
    made = mlp()
    codes = codes_for(made, images)
    spans = [(span.start, span.stop) for span, _ in emulate.Emulator(made).stream(codes, ["x"])]
    assert spans == [(at, min(at + 16, images)) for at in range(0, images, 16)]


def test_a_trace_has_the_layers_it_was_asked_for():
    made = cnn()
    codes = codes_for(made, 3)
    assert list(emulate.trace(made, codes, ["c2", "r1"])) == ["c2", "r1"]
    assert list(emulate.trace(made, codes)) == list(made.shapes)
    assert emulate.trace(made, codes, []) == {}
    with pytest.raises(KeyError, match=r"^'nothing'$"):
        emulate.trace(made, codes, ["nothing"])


def test_a_layer_may_be_read_twice_and_traced():
    made = network(Add("s", ("x", "x")))
    codes = codes_for(made, 2)
    found = emulate.trace(made, codes, ["x", "s"])
    np.testing.assert_array_equal(found["s"], 2 * codes)
    np.testing.assert_array_equal(found["x"], codes)


def test_no_image_is_an_empty_answer():
    made = mlp()
    assert emulate.run(made, codes_for(made, 0)).shape == (0, 5)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 21), np.uint8), "images must have shape (images, 20), not (2, 21)"),
        (np.zeros((2, 20)), "images must be integer codes of ufixed<8,0>, not float64; use encode() of that type"),
        (np.full((2, 20), 300), "codes from 300 to 300 do not fit the input type ufixed<8,0>"),
    ],
)
def test_refused_images(codes, message):
    with pytest.raises(DataError) as caught:
        emulate.run(mlp(), codes)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", CASES)
def test_no_output_leaves_its_interval(name):
    made = CASES[name]
    ranges, types = intervals(made), tensor_types(made)
    for layer, codes in emulate.trace(made, codes_for(made, 40, seed=1)).items():
        assert ranges[layer].low <= codes.min()
        assert codes.max() <= ranges[layer].high
        assert types[layer].holds(codes)
        assert types[layer].fraction == ranges[layer].fraction


def test_accumulator_is_tight_for_a_dense_layer_by_hand():
    kernel = Weights(np.array([[3], [-2]]), FixedPoint(4, 4))
    made = network(
        Dense("d", ("x",), kernel, Weights(np.array([5]), FixedPoint(4, 4))), shape=(2,), kind=FixedPoint(2, 2, False)
    )
    bound = intervals(made)["d"]
    assert (bound.low, bound.high, bound.fraction) == (-6, 14, 0)
    assert tensor_types(made)["d"] == FixedPoint(5, 5)


@pytest.mark.parametrize(
    ("kind", "code"), [(FixedPoint(24, 24), -(1 << 23) + 1), (FixedPoint(24, 24, False), (1 << 24) - 1)]
)
def test_a_sum_of_a_mean_beyond_float32_is_exact_at_either_end(kind, code):
    """Four codes whose sum is odd and above 2**24 in size: the mean in quarters is that sum."""
    mean = AveragePool("m", ("x",), (4,), (4,), ((0, 0),), FixedPoint(40, 38, kind.signed, Rounding.TRN, Overflow.SAT))
    codes = np.array([[[code], [code], [code], [code - 1]]])
    found = emulate.run(network(mean, shape=(4, 1), kind=kind), codes)
    assert found.ravel().tolist() == [4 * code - 1]


@pytest.mark.parametrize(("slope", "expected"), [(1.0, [0, 0, 2]), (-1.0, [4, 1, 2])])
def test_a_slope_of_one_is_not_a_slope_of_none(slope, expected):
    """Into a type without sign that saturates, where a slope of 0 needs no maximum of its own."""
    relu = Activation("r", ("x",), Function.RELU, FixedPoint(4, 4, False, Rounding.TRN, Overflow.SAT), slope)
    codes = np.array([[-4, -1, 2]])
    assert emulate.run(network(relu, shape=(3,), kind=FixedPoint(4, 4)), codes).tolist() == [expected]


@pytest.mark.parametrize(("slope", "expected"), [(1.0, [-4, -1, 2]), (-1.0, [4, 1, 2]), (0.0, [0, 0, 2])])
def test_a_slope_of_one_below_zero(slope, expected):
    relu = Activation("r", ("x",), Function.RELU, FixedPoint(5, 5, True, Rounding.TRN, Overflow.SAT), slope)
    codes = np.array([[-4, -1, 2]])
    assert emulate.run(network(relu, shape=(3,), kind=FixedPoint(4, 4)), codes).tolist() == [expected]


def test_a_kind_without_a_way_to_run_is_refused():
    class Spiral(Layer):
        pass

    with pytest.raises(UnsupportedLayer) as caught:
        emulate.prepare(Spiral("s", ("x",)), None)
    assert str(caught.value) == "layer 's': a Spiral cannot be emulated"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mean_is_cut_to_few_bits_from_all_of_its_sum(sign):
    """Ten bits of a sum just below a multiple of 2**20, beyond float32 on one side of zero alone."""
    one = Weights(np.array([sign]), FixedPoint(2, 2))
    ahead = Affine("s", ("x",), one, Weights(np.array([0]), FixedPoint(2, 2)))
    mean = AveragePool("m", ("s",), (4,), (4,), ((0, 0),), FixedPoint(10, 28, True, Rounding.TRN, Overflow.SAT))
    total = (1 << 25) + 3 * (1 << 20) - sign
    codes = [total // 4, total // 4, total // 4, total - 3 * (total // 4)]
    found = emulate.run(
        network(ahead, mean, shape=(4, 1), kind=FixedPoint(24, 24, False)), np.array([codes])[..., None]
    )
    assert found.ravel().tolist() == [sign * total >> 20]


def test_a_mean_of_values_on_a_coarse_grid_is_rounded_once():
    """Steps of 4 on a grid of halves: 4/3 is 2.67 halves, 8/3 is 5.33."""
    mean = AveragePool("m", ("x",), (3,), (3,), ((0, 0),), FixedPoint(8, 7, True, Rounding.TRN, Overflow.SAT))
    codes = np.array([[[1], [0], [0], [1], [1], [0]]])
    assert emulate.run(network(mean, shape=(6, 1), kind=FixedPoint(4, 6)), codes).ravel().tolist() == [2, 5]
