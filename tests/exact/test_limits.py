"""Where the emulator changes its numbers: networks whose bounds lie exactly on the limits, and one beside them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fpgaml.errors import ConfigError
from fpgaml.exact import emulate
from fpgaml.ir.accumulate import Interval, intervals
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Add, AveragePool, Dense, Function, Input, Network, Weights
from tests import slow
from tests.networks import VALID, codes_for
from tests.random_networks import chains

BIT = FixedPoint(1, 1, False)


def integers(*codes, width=63):
    return Weights(np.array(codes), FixedPoint(width, width))


def network(*layers, shape=(1,), kind=BIT):
    return Network("n", (Input("x", (), shape, kind), *layers))


@pytest.mark.parametrize(
    ("edge", "below", "above"), [(1 << 24, np.float32, np.float64), (1 << 53, np.float64, np.int64)]
)
def test_the_number_type_changes_at_its_last_exact_integer(edge, below, above):
    for low, high, expected in [
        (0, edge - 1, below), (0, edge, above), (0, edge + 1, above),
        (1 - edge, 0, below), (-edge, 0, above), (-edge - 1, 0, above), (-edge, edge - 1, above),
    ]:  # fmt: skip
        assert emulate.word(Interval(low, high, 0)) is expected
        assert emulate.word(Interval(0, 1, 5), Interval(low, high, -3)) is expected


EDGES = [(1 << 24) - 1, 1 << 24, (1 << 24) + 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 55) + 1]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("total", EDGES)
def test_a_sum_at_the_limit_is_exact(total, sign):
    """sign * (total - 1) + sign: its last bit is the first that a number too short would lose."""
    made = network(Dense("d", ("x",), integers([sign * (total - 1)]), integers(sign)))
    np.testing.assert_array_equal(emulate.run(made, np.array([[0], [1]])), [[sign], [sign * total]])


@pytest.mark.parametrize("total", EDGES)
def test_a_sum_whose_end_is_small_may_pass_the_limit_on_its_way(total):
    """(total - 1) + 1 - total: 0, which a number too short would make -1."""
    made = network(Dense("d", ("x",), integers([total - 1], [1], [-total]), integers(0)), shape=(3,))
    np.testing.assert_array_equal(emulate.run(made, np.ones((1, 3), int)), [[0]])


@pytest.mark.parametrize("total", EDGES)
def test_what_follows_an_exact_sum_is_exact(total):
    """The sum again through a cast that keeps it, an addition and a product with one."""
    keep = FixedPoint(60, 60, True, Rounding.RND, Overflow.SAT)
    made = network(
        Dense("d", ("x",), integers([total - 1, 1], width=60), integers(1, 0, width=60)),
        Activation("a", ("d",), Function.LINEAR, keep),
        Dense("e", ("a",), integers([1, 0], [0, 1], width=2), integers(0, 0, width=2)),
        Activation("r", ("e",), Function.RELU, keep),
        Add("s", ("r", "e")),
    )
    found = emulate.trace(made, np.array([[1], [0]]))
    for name in "dae":
        np.testing.assert_array_equal(found[name], [[total, 1], [1, 0]])
    np.testing.assert_array_equal(found["s"], [[2 * total, 2], [2, 0]])


@pytest.mark.parametrize("fraction", [0, 1, 3])
def test_a_cast_of_more_bits_than_float64_has_is_done_in_integers(fraction):
    """2**53 + 1 by 2, 4 or 16: half a unit, which float64 has rounded away before it is asked."""
    made = network(
        Dense("d", ("x",), Weights(np.array([[1 << 53]]), FixedPoint(60, 59 - fraction)), integers(0, width=2)),
        Dense("e", ("d",), integers([1], width=2), Weights(np.array([1]), FixedPoint(2, 1 - fraction))),
        Activation("a", ("e",), Function.LINEAR, FixedPoint(60, 60, True, Rounding.RND_INF, Overflow.SAT)),
    )
    by = 1 << (1 + fraction)
    expected = ((1 << 53) + 1 + by // 2) // by
    np.testing.assert_array_equal(emulate.run(made, np.array([[1], [0]])), [[expected], [(1 + by // 2) // by]])


def test_a_type_wider_than_its_input_decides_the_numbers_of_a_cast():
    """-1 on a grid 2**-58: a float32 would hold the code, but not the limits it is clipped to."""
    kind = FixedPoint(60, 2, True, Rounding.TRN, Overflow.SAT)
    made = network(Activation("a", ("x",), Function.LINEAR, kind), kind=FixedPoint(3, 3))
    np.testing.assert_array_equal(
        emulate.run(made, np.array([[-4], [-2], [-1], [1], [3]])),
        [[-(1 << 59)], [-(1 << 59)], [-(1 << 58)], [1 << 58], [(1 << 59) - 1]],
    )


# --- means -----------------------------------------------------------------------------------------------------------


def mean(padding, strides):
    pool = AveragePool("p", ("x",), (2, 2), strides, padding, FixedPoint(12, 8))
    return network(pool, shape=(2, 2, 1), kind=FixedPoint(8, 8))


@pytest.mark.parametrize(
    ("padding", "strides", "expected"),
    [
        (((0, 0), (0, 0)), (2, 2), [[40]]),  # (1 + 2 + 3 + 4) / 4 = 2.5, in sixteenths
        (((1, 1), (1, 1)), (2, 2), [[16, 32], [48, 64]]),  # one value in each window: itself
        (((1, 1), (0, 0)), (2, 2), [[24], [56]]),  # two: 1.5 and 3.5
        (((0, 0), (1, 1)), (2, 2), [[32, 48]]),  # two: 2 and 3
        (((1, 0), (1, 0)), (1, 1), [[16, 24], [32, 40]]),  # one, two, two, four
        (((0, 1), (0, 1)), (1, 1), [[40, 48], [56, 64]]),  # four, two, two, one
    ],
)
def test_a_mean_leaves_the_padding_out(padding, strides, expected):
    found = emulate.run(mean(padding, strides), np.array([[[[1], [2]], [[3], [4]]]]))
    np.testing.assert_array_equal(found[0, ..., 0], expected)


TIES = [(1, 2), (-1, -2), (3, 4), (-3, -4), (1, 1), (-1, -1), (2, 3)]  # means 1.5, -1.5, 3.5, -3.5, 1, -1, 2.5


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.TRN, [1, -2, 3, -4, 1, -1, 2]), (Rounding.TRN_ZERO, [1, -1, 3, -3, 1, -1, 2]),
        (Rounding.RND, [2, -1, 4, -3, 1, -1, 3]), (Rounding.RND_MIN_INF, [1, -2, 3, -4, 1, -1, 2]),
        (Rounding.RND_INF, [2, -2, 4, -4, 1, -1, 3]), (Rounding.RND_ZERO, [1, -1, 3, -3, 1, -1, 2]),
        (Rounding.RND_CONV, [2, -2, 4, -4, 1, -1, 2]),
    ],
)  # fmt: skip
def test_a_mean_of_two_is_rounded_once_in_every_mode(rounding, expected):
    kind = FixedPoint(8, 8, True, rounding, Overflow.SAT)
    made = network(AveragePool("p", ("x",), (2,), (2,), ((0, 0),), kind), shape=(2, 1), kind=FixedPoint(8, 8))
    codes = np.array(TIES)[..., None]
    np.testing.assert_array_equal(emulate.run(made, codes)[:, 0, 0], expected)
    padded = network(  # beside a window of one value, so that the division is done in integers
        AveragePool("p", ("x",), (2,), (2,), ((0, 1),), kind), shape=(3, 1), kind=FixedPoint(8, 8)
    )
    codes = np.concatenate([codes, np.full((len(codes), 1, 1), 7)], axis=1)
    np.testing.assert_array_equal(emulate.run(padded, codes)[..., 0], [[n, 7] for n in expected])


THIRDS = [(1, 0, 0), (-1, 0, 0), (1, 1, 0), (-1, -1, 0), (1, 1, 1), (2, 1, 1), (-2, -1, -1)]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (Rounding.TRN, [0, -1, 0, -1, 1, 1, -2]), (Rounding.TRN_ZERO, [0, 0, 0, 0, 1, 1, -1]),
        *[(mode, [0, 0, 1, -1, 1, 1, -1]) for mode in Rounding if "TRN" not in mode],
    ],
)  # fmt: skip
def test_a_mean_of_three(rounding, expected):
    kind = FixedPoint(8, 8, True, rounding, Overflow.SAT)
    made = network(AveragePool("p", ("x",), (3,), (3,), ((0, 0),), kind), shape=(3, 1), kind=FixedPoint(8, 8))
    np.testing.assert_array_equal(emulate.run(made, np.array(THIRDS)[..., None])[:, 0, 0], expected)


def test_a_mean_whose_sum_passes_the_limit():
    """The sum of four codes of 2**23 - 1 has 25 bits; the mean is the code itself."""
    top = (1 << 23) - 1
    pool = AveragePool("p", ("x",), (2, 2), (2, 2), VALID, FixedPoint(26, 26, True, Rounding.TRN, Overflow.SAT))
    made = network(pool, shape=(2, 2, 1), kind=FixedPoint(24, 24))
    codes = np.array([[top, top], [top, top]])[None, ..., None]
    np.testing.assert_array_equal(emulate.run(made, codes), [[[[top]]]])
    codes[0, 0, 0, 0] -= 1  # minus a quarter: down
    np.testing.assert_array_equal(emulate.run(made, codes), [[[[top - 1]]]])


# --- random networks -------------------------------------------------------------------------------------------------


def must_equal_the_slow_form(made, seed):
    try:
        intervals(made)
    except ConfigError:
        assume(False)
    codes = codes_for(made, 2, seed)
    found = emulate.trace(made, codes)
    for at, image in enumerate(codes):
        for name, expected in slow.run(made, image).items():
            np.testing.assert_array_equal(found[name][at], expected, err_msg=f"layer {name}")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(chains(), st.integers(0, 9))
def test_random_networks_of_few_bits(made, seed):
    must_equal_the_slow_form(made, seed)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(chains(longest=3, widest=56), st.integers(0, 9))
def test_random_networks_of_many_bits(made, seed):
    must_equal_the_slow_form(made, seed)
