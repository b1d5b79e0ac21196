"""Ranges and accumulator types by hand at their edges, and against the slow form over random networks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.ir.accumulate import Interval, codes_before_cast, intervals, output_interval, tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
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
    Reshape,
    Table,
    Weights,
)
from tests import slow
from tests.networks import VALID
from tests.random_networks import chains

BYTE, BIT = FixedPoint(8, 8), FixedPoint(1, 1, False)


def integers(*codes, width=8):
    """Integer weights of a stated width: no fraction bits."""
    return Weights(np.array(codes), FixedPoint(width, width))


def table(name, *codes, source="x", width=8):
    """A Table of integers over a 1-bit index: how a range comes to lie apart from zero."""
    return Table(name, (source,), BIT, integers(*codes, width=width))


def network(*layers, shape=(2,), kind=BIT):
    return Network("n", (Input("x", (), shape, kind), *layers))


def bound(*layers, **options):
    """The interval of the last layer, as (low, high, fraction)."""
    made = network(*layers, **options)
    found = intervals(made)[made.output.name]
    return found.low, found.high, found.fraction


# --- ranges that lie apart from zero: a partial sum, or a padding, is zero all the same ------------------------------

HIGH, LOW = table("t", 5, 10), table("t", -10, -5)
KERNEL, NOTHING = integers([3], [-2]), integers(0)


@pytest.mark.parametrize(("source", "expected"), [(HIGH, (-20, 30, 0)), (LOW, (-30, 20, 0))], ids=["above", "below"])
def test_a_dense_layer_starts_from_zero(source, expected):
    """3 a - 2 b with a and b in 5..10: -20 when b comes first, 30 when a does, though no whole sum leaves -5..20."""
    assert bound(source, Dense("d", ("t",), KERNEL, NOTHING)) == expected


@pytest.mark.parametrize(("bias", "expected"), [(7, (-20, 37, 0)), (-7, (-27, 30, 0))])
def test_a_bias_may_come_first_or_last(bias, expected):
    assert bound(HIGH, Dense("d", ("t",), KERNEL, integers(bias))) == expected


@pytest.mark.parametrize(("source", "expected"), [(HIGH, (0, 30, 0)), (LOW, (-30, 0, 0))], ids=["above", "below"])
def test_an_accumulator_is_zero_before_the_first_term(source, expected):
    assert bound(source, Affine("a", ("t",), integers(3, 2), integers(0, 0))) == expected
    assert bound(source, Dense("d", ("t",), integers([3], [0]), integers(0))) == expected


def test_the_widest_output_of_a_layer_decides_each_end():
    kernel = integers([3, -1], [-2, 4])
    assert bound(HIGH, Dense("d", ("t",), kernel, integers(0, 1))) == (-20, 41, 0)


def test_kernels_of_every_rank_are_summed_over_all_axes_but_the_last():
    conv = Conv("c", ("t",), integers([[3, 1], [-2, 1]], [[1, 1], [1, 1]]), integers(0, 0), (1,), ((0, 0),))
    assert bound(HIGH, conv, shape=(3, 2)) == (-20, 50, 0)
    depthwise = DepthwiseConv("c", ("t",), integers([3, -1], [-2, 4]), integers(0, 1), (1,), ((0, 0),))
    assert bound(HIGH, depthwise, shape=(3, 2)) == (-20, 41, 0)


@pytest.mark.parametrize(("source", "expected"), [(HIGH, (0, 10, 0)), (LOW, (-10, 0, 0))], ids=["above", "below"])
def test_padding_adds_a_zero(source, expected):
    assert bound(source, Pad("p", ("t",), ((1, 0),)), shape=(2, 1)) == expected


def test_the_largest_of_a_window_is_never_the_padding():
    assert bound(LOW, MaxPool("p", ("t",), (2,), (2,), ((1, 1),)), shape=(2, 1)) == (-10, -5, 0)


@pytest.mark.parametrize(
    ("first", "second", "two", "three"),
    [
        ((5, 10), (-7, -3), (-2, 7, 0), (-7, 20, 0)),
        ((-10, -5), (3, 7), (-7, 2, 0), (-20, 7, 0)),
    ],
)
def test_an_addition_of_three_may_start_with_any_two(first, second, two, three):
    a, b, c = table("a", *first), table("b", *second), table("c", *first)
    assert bound(a, b, Add("s", ("a", "b"))) == two
    assert bound(a, b, c, Add("s", ("a", "b", "c"))) == three


def test_terms_of_an_addition_meet_on_the_finest_grid():
    fine = Table("b", ("x",), BIT, Weights(np.array([-3, 3]), FixedPoint(8, 6)))
    assert bound(table("a", 5, 10), fine, Add("s", ("a", "b"))) == (17, 43, 2)
    assert bound(table("a", 5, 10), fine, Concatenate("s", ("a", "b"))) == (-3, 40, 2)
    assert bound(table("a", 5, 10), fine, Multiply("s", ("a", "b"))) == (-30, 30, 2)


@pytest.mark.parametrize(
    ("bias", "expected"), [(Weights(np.array([1]), FixedPoint(4, 1)), (-160, 241, 3)), (integers(1), (-20, 31, 0))]
)
def test_products_and_bias_meet_on_the_finer_grid(bias, expected):
    assert bound(HIGH, Dense("d", ("t",), KERNEL, bias)) == expected


def test_products_finer_than_the_bias():
    kernel = Weights(np.array([[3], [-2]]), FixedPoint(8, 6))
    assert bound(HIGH, Dense("d", ("t",), kernel, integers(1))) == (-20, 34, 2)


@pytest.mark.parametrize(
    ("slope", "codes", "expected"),
    [
        (0.0, (-8, 6), (0, 6, 0)), (0.0, (3, 6), (3, 6, 0)), (0.0, (-8, -2), (0, 0, 0)),
        (0.25, (-8, 6), (-8, 24, 2)), (0.25, (-8, -4), (-8, 0, 2)), (-0.5, (-8, 3), (0, 8, 1)),
        (0.25, (3, 6), (0, 24, 2)), (0.25, (0, 6), (0, 24, 2)), (-0.5, (3, 6), (0, 12, 1)), (-0.5, (-8, -4), (0, 8, 1)),
        (0.375, (-8, 0), (-24, 0, 3)), (2.0, (-8, 6), (-16, 6, 0)),
    ],
)  # fmt: skip
def test_an_activation_before_its_cast(slope, codes, expected):
    kind = FixedPoint(12, 12 - expected[2], True, Rounding.TRN, Overflow.SAT)
    assert bound(table("t", *codes), Activation("a", ("t",), Function.RELU, kind, slope)) == expected


@pytest.mark.parametrize(
    ("overflow", "codes", "expected"),
    [
        (Overflow.SAT, (-20, 20), (-8, 7)), (Overflow.SAT_SYM, (-20, 20), (-7, 7)), (Overflow.WRAP, (-20, 20), (-8, 7)),
        (Overflow.SAT_ZERO, (-8, 8), (-8, 7)), (Overflow.SAT_ZERO, (-9, 7), (-8, 7)), (Overflow.WRAP, (-9, 7), (-8, 7)),
        (Overflow.WRAP, (-8, 7), (-8, 7)), (Overflow.WRAP, (-7, 6), (-7, 6)), (Overflow.SAT_ZERO, (-7, 6), (-7, 6)),
        (Overflow.SAT, (9, 12), (7, 7)), (Overflow.SAT, (-12, -9), (-8, -8)), (Overflow.SAT, (3, 12), (3, 7)),
        (Overflow.SAT_ZERO, (9, 12), (-8, 7)), (Overflow.WRAP, (2, 8), (-8, 7)),
    ],
)  # fmt: skip
def test_a_cast_of_a_range(overflow, codes, expected):
    kind = FixedPoint(4, 4, True, Rounding.TRN, overflow)
    assert bound(table("t", *codes), Activation("a", ("t",), Function.LINEAR, kind)) == (*expected, 0)


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        (1 << 37, (1 << 24, 1 << 61)),  # 63 bits on the finer grid: it fits, and nothing wraps
        (1 << 38, (-(1 << 62), (1 << 62) - 1)),  # 64: it may become anything
        (1 << 39, (-(1 << 62), (1 << 62) - 1)),
    ],
)
def test_a_range_that_leaves_the_widest_type_may_wrap_anywhere(high, expected):
    kind = FixedPoint(63, 39, True, Rounding.TRN, Overflow.WRAP)
    made = table("t", 1, high, width=41), Activation("a", ("t",), Function.LINEAR, kind)
    assert bound(*made) == (*expected, 24)


def test_a_mean_is_cast_as_its_ends_are():
    """5..10 rounds to 4..12 on a grid of fours with ties to even: 5/4 = 1.25 -> 1, 10/4 = 2.5 -> 2."""
    kind = FixedPoint(6, 8, True, Rounding.RND_CONV, Overflow.SAT)
    assert bound(HIGH, AveragePool("p", ("t",), (2,), (2,), ((0, 0),), kind), shape=(2, 1)) == (1, 2, -2)


def test_one_class_of_several_is_a_bit():
    assert bound(HIGH, ArgMax("c", ("t",))) == (0, 1, 0)


# --- the edges of the widest type ------------------------------------------------------------------------------------


def wide(weight, bias, width):
    """A Dense whose accumulator reaches weight + bias, from an input of one bit."""
    made = Dense("d", ("x",), integers([weight], width=width), integers(bias, width=width))
    return network(made, shape=(1,))


def test_an_accumulator_may_have_63_bits():
    made = wide((1 << 61) - 1, 1 << 61, 63)
    assert intervals(made)["d"].high == (1 << 62) - 1
    assert tensor_types(made)["d"] == FixedPoint(63, 63)
    made = wide(-(1 << 61), -(1 << 61), 63)
    assert intervals(made)["d"].low == -(1 << 62)
    assert tensor_types(made)["d"] == FixedPoint(63, 63)


@pytest.mark.parametrize(("weight", "bias"), [(1 << 61, 1 << 61), (-(1 << 61), -(1 << 61) - 1)])
def test_an_accumulator_of_64_bits_is_refused(weight, bias):
    with pytest.raises(ConfigError) as caught:
        intervals(wide(weight, bias, 63))
    assert str(caught.value) == (
        "layer 'd' needs 64 bits to be exact, more than 63: give its weights or its input fewer bits"
    )


def test_sums_beyond_a_word_are_named_with_their_true_width():
    """Four products of 2**62 need 66 bits: none of it may wrap around while the bound is computed."""
    top = (1 << 62) - 1
    made = network(
        Dense("d", ("x",), integers(*[[top]] * 4, width=63), integers(0)), shape=(4,), kind=FixedPoint(2, 2, False)
    )
    with pytest.raises(ConfigError, match=r"^layer 'd' needs 67 bits to be exact, more than 63: "):
        intervals(made)


@pytest.mark.parametrize(
    ("low", "high", "size", "bits"),
    [
        (0, 0, 0, 2), (-1, 0, 1, 2), (-2, 1, 2, 2), (-3, 1, 3, 3), (0, 2, 2, 3), (-8, 7, 8, 4), (-7, 8, 8, 5),
        (-9, 3, 9, 5), (5, 10, 10, 5), (-10, -5, 10, 5), (-(1 << 62), 0, 1 << 62, 63), (0, 1 << 62, 1 << 62, 64),
    ],
)  # fmt: skip
def test_size_and_bits_of_an_interval(low, high, size, bits):
    assert (Interval(low, high, 3).size, Interval(low, high, 3).bits) == (size, bits)


def test_an_interval_on_a_finer_grid():
    assert Interval(-3, 5, 1).at(4) == Interval(-24, 40, 4)
    assert Interval(-3, 5, 1).at(1) == Interval(-3, 5, 1)


def mean_of(codes, width, integer, count=4):
    """A mean of `count` values of a Table with two entries, cast to a type of `integer` integer bits."""
    kind = FixedPoint(width, integer, True, Rounding.TRN, Overflow.SAT)
    pool = AveragePool("p", ("t",), (count,), (count,), ((0, 0),), kind)
    return network(table("t", *codes, width=40), pool, shape=(count, 1))


@pytest.mark.parametrize("codes", [(1 << 38, 0), (0, 1 << 38), (-1 << 38, 0), (5, -1 << 38)])
def test_a_mean_needs_room_for_its_sum_and_two_bits_more(codes):
    """Four codes of 2**38 on a grid 20 bits finer, and two bits: 2**62, or 63 bits if it is negative."""
    refused, taken = (21, 20) if max(codes) < 100 else (20, 19)
    assert intervals(mean_of(codes, 30, 30 - taken))["p"].fraction == taken
    with pytest.raises(ConfigError) as caught:
        intervals(mean_of(codes, 30, 30 - refused))
    assert str(caught.value) == (
        "layer 'p' needs 64 bits to be exact, more than 63: give its weights or its input fewer bits"
    )
    assert intervals(mean_of(codes, 30, 60))["p"].fraction == -30  # on a coarser grid there is room enough


@pytest.mark.parametrize(("codes", "bits"), [((1 << 38, 0), 64), ((-(1 << 38) - 1, 0), 64)])
def test_a_slope_needs_room_for_its_products(codes, bits):
    kind = FixedPoint(8, 8, True, Rounding.TRN, Overflow.SAT)
    slope = 2.0**-24 if codes[0] > 0 else 1 + 2.0**-24
    made = network(table("t", *codes, width=40), Activation("a", ("t",), Function.RELU, kind, slope))
    with pytest.raises(ConfigError) as caught:
        intervals(made)
    assert str(caught.value) == (
        f"layer 'a' needs {bits} bits to be exact, more than 63: give its weights or its input fewer bits"
    )


# --- types -----------------------------------------------------------------------------------------------------------

MODES = FixedPoint(6, 3, False, Rounding.RND_CONV, Overflow.SAT)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((Activation("a", ("x",), Function.LINEAR, MODES),), MODES),
        ((AveragePool("p", ("x",), (1, 1), (1, 1), VALID, MODES),), MODES),
        ((Activation("a", ("x",), Function.LINEAR, MODES), MaxPool("p", ("a",), (1, 1), (1, 1), VALID)),) * 2,
        ((Activation("a", ("x",), Function.LINEAR, MODES), Flatten("p", ("a",))),) * 2,
        ((Activation("a", ("x",), Function.LINEAR, MODES), Reshape("p", ("a",), (4,))),) * 2,
        ((Activation("a", ("x",), Function.LINEAR, MODES), Pad("p", ("a",), VALID)),) * 2,
    ],
)
def test_what_moves_values_keeps_their_bits_but_not_their_modes(layers, expected):
    kind = expected if isinstance(expected, FixedPoint) else FixedPoint(6, 3, False)
    made = network(*layers, shape=(2, 2, 1), kind=BYTE)
    assert tensor_types(made)[made.output.name] == kind


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (FixedPoint(6, 3, False, Rounding.TRN), FixedPoint(6, 3, False)),
        (FixedPoint(5, 3, False), FixedPoint(7, 4)), (FixedPoint(6, 2, False), FixedPoint(8, 4)),
        (FixedPoint(6, 3, True), FixedPoint(7, 4)),
    ],
)  # fmt: skip
def test_sides_of_a_concatenation_that_are_alike_keep_their_type(second, expected):
    made = network(
        Activation("a", ("x",), Function.LINEAR, MODES),
        Activation("b", ("x",), Function.LINEAR, second),
        Concatenate("c", ("a", "b")),
        kind=BYTE,
    )
    assert tensor_types(made)["c"] == expected


def test_an_unknown_kind_of_layer_has_no_range():
    with pytest.raises(UnsupportedLayer) as caught:
        output_interval(Layer("q", ()))
    assert str(caught.value) == "layer 'q': no interval rule for a Layer"


@pytest.mark.parametrize(
    ("function", "slope", "expected", "fraction"),
    [
        (Function.LINEAR, 0.0, [-4, -1, 0, 3], 1), (Function.LINEAR, 0.5, [-4, -1, 0, 3], 1),
        (Function.RELU, 0.0, [0, 0, 0, 3], 1), (Function.RELU, 0.375, [-12, -3, 0, 24], 4),
        (Function.RELU, -0.5, [4, 1, 0, 6], 2),
    ],
)  # fmt: skip
def test_codes_before_a_cast(function, slope, expected, fraction):
    found, fine = codes_before_cast(Activation("a", ("x",), function, BYTE, slope), np.array([-4, -1, 0, 3]), 1)
    assert (found.tolist(), fine) == (expected, fraction)
    found, fine = codes_before_cast(Flatten("f", ("x",)), np.array([-4, 3]), 1)
    assert (found.tolist(), fine) == ([-4, 3], 1)


# --- against the slow form, over random networks ---------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(chains())
def test_ranges_and_types_are_those_of_the_slow_form(made):
    try:
        tensor_types(made)
    except ConfigError:  # wider than any type
        assume(False)
    found = {name: (i.low * unit(i), i.high * unit(i)) for name, i in intervals(made).items()}
    assert found == slow.ranges(made)
    assert tensor_types(made) == slow.types(made)


def unit(interval):
    return slow.unit(FixedPoint(1, 1 - interval.fraction, False))
