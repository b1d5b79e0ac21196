"""Every mistake that is known by kind is named for what it is, and nothing else is blamed."""

from dataclasses import replace

import numpy as np
import pytest

from fpgaml.exact import emulate
from fpgaml.exact.cause import diagnose
from fpgaml.exact.comparison import (
    first_difference,
)
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    AveragePool,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    MaxPool,
    Network,
    Table,
    Weights,
)
from tests.exact.test_comparison import PIXEL, RELU, difference, network, values
from tests.networks import SAME, VALID, weights

LINEAR = FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)


def cnn():
    rng = np.random.default_rng(3)
    layers = (
        Input("x", (), (6, 6, 2), PIXEL),
        Conv("conv", ("x",), weights(rng, 3, 3, 2, 3), weights(rng, 3), (2, 2), SAME),
        AveragePool("mean", ("conv",), (3, 3), (3, 3), VALID, FixedPoint(8, 4, True, Rounding.RND_CONV, Overflow.SAT)),
        Flatten("flat", ("mean",)),
    )
    return Network("n", layers)


def planted(network, layer, **changes):
    """Return the difference to a network with one layer changed."""
    return difference(network, values(network, changed={layer: replace(network[layer], **changes)}))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"rounding": Rounding.TRN},
            "rounding mode: in tool, the cast to ufixed<4,1,RND_CONV,SAT> rounds by TRN instead of RND_CONV",
        ),
        (
            {"overflow": Overflow.WRAP},
            "wrap: in tool, the cast to ufixed<4,1,RND_CONV,SAT> overflows by WRAP instead of SAT",
        ),
        (
            {"overflow": Overflow.SAT_ZERO},
            "saturation: in tool, the cast to ufixed<4,1,RND_CONV,SAT> overflows by SAT_ZERO instead of SAT",
        ),
        (
            {"rounding": Rounding.TRN, "overflow": Overflow.WRAP},
            "wrap: in tool, the cast to ufixed<4,1,RND_CONV,SAT> rounds by TRN instead of RND_CONV and overflows by "
            "WRAP instead of SAT",
        ),
    ],
)
def test_another_mode_is_named(changes, text):
    found = planted(network(), "act", type=replace(RELU, **changes))
    assert found.layer == "act"
    assert str(found.diagnosis) == text


def test_a_missing_cast():
    net = network(kind=LINEAR, function=Function.LINEAR)
    right = values(net)
    right["act"] = right["fc"]
    assert str(difference(net, right).diagnosis) == (
        "missing requantizer: in tool, the cast to fixed<4,2,RND_CONV,SAT> is left out"
    )


def test_a_requantizer_that_is_not_there_at_all():
    """As hls4ml deletes quantized_bits: the layer is in no list, and the next one reads what it read."""
    net = network(kind=LINEAR, function=Function.LINEAR)
    thin = Network(
        "n", tuple(replace(one, sources=("fc",)) if one.name == "out" else one for one in net if one.name != "act")
    )
    found = difference(net, values(thin))
    assert found.layer == "out"
    assert str(found.diagnosis) == (
        "missing requantizer: in tool, layer 'act' is missing, and with it the cast to fixed<4,2,RND_CONV,SAT>"
    )


def test_two_mistakes_at_once():
    """As hls4ml does to a float bias behind a layer that it deletes."""
    net = network(kind=LINEAR, function=Function.LINEAR)
    image, dense, _, out = net
    cut = Weights(out.bias.codes >> 2 << 2, out.bias.type)
    thin = Network("n", (image, dense, replace(out, sources=("fc",), bias=cut)))
    assert str(difference(net, values(thin)).diagnosis) == (
        "missing requantizer: in tool, layer 'act' is missing, and with it the cast to fixed<4,2,RND_CONV,SAT>; "
        "besides, its bias is cut off at 3 of its 5 fraction bits"
    )


def test_a_truncated_input():
    net = network()
    right = values(net)
    coarse = np.floor(right["x"] * 32) / 32
    right["fc"] = coarse @ net["fc"].kernel.values + net["fc"].bias.values
    assert str(difference(net, right).diagnosis) == (
        "truncated input: in tool, its input is cut off at 5 of its 8 fraction bits"
    )


def test_truncated_weights():
    net = network()
    bias = net["fc"].bias
    cut = Weights(bias.codes >> 2 << 2, bias.type)
    assert str(planted(net, "fc", bias=cut).diagnosis) == (
        f"truncated weights: in tool, its bias is cut off at 5 of its {bias.type.fraction} fraction bits"
    )


@pytest.mark.parametrize("make", [network, cnn])
def test_products_cut_off_in_a_narrow_accumulator(make):
    net = make()
    name = list(net.shapes)[1]
    layer, right = net[name], values(net)
    x = right["x"] if name == "fc" else np.pad(right["x"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.zeros_like(right[name])
    for at in np.ndindex(*layer.kernel.codes.shape[:-1]):
        part = x[:, at[0]][:, None] if name == "fc" else x[:, at[0] : at[0] + 5 : 2, at[1] : at[1] + 5 : 2, at[2], None]
        total += np.floor(part * layer.kernel.values[at] * 1024) / 1024
    right[name] = total + layer.bias.values
    assert str(difference(net, right).diagnosis) == (
        "truncated accumulator: in tool, products are cut off and added in 10 fraction bits, where 13 fraction bits "
        "are exact"
    )


def test_a_result_that_wraps_in_too_few_bits():
    net = network()
    right = values(net)
    right["fc"] = FixedPoint(14, 1).decode(FixedPoint(14, 1).encode(right["fc"]))
    assert str(difference(net, right).diagnosis) == (
        "wrap: in tool, the result is cast to fixed<14,1>, which does not hold its values"
    )


def test_a_mean_that_is_cut_off():
    net = cnn()
    kind = net["mean"].type
    found = planted(net, "mean", type=replace(kind, rounding=Rounding.TRN))
    assert str(found.diagnosis) == (
        "rounding mode: in tool, the cast to fixed<8,4,RND_CONV,SAT> rounds by TRN instead of RND_CONV"
    )


def test_a_table_read_at_the_wrong_place():
    index = FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)
    table = Weights(np.arange(16) * 7 % 16, FixedPoint(6, 2))
    net = Network(
        "n", (Input("x", (), (4,), FixedPoint(8, 2)), Table("t", ("x",), index, table), Flatten("flat", ("t",)))
    )
    codes = np.random.default_rng(0).integers(-128, 128, (50, 4))
    left = {"x": net.input.type.decode(codes), "t": table.values[index.cast(codes, 6) + 8]}
    right = {"t": table.values[replace(index, rounding=Rounding.TRN).cast(codes, 6) + 8]}
    found = first_difference(left, right, ["x", "t"], ("emulator", "tool"), net)
    assert str(found.diagnosis) == (
        "table index: in tool, the cast to fixed<4,2,RND_CONV,SAT> rounds by TRN instead of RND_CONV"
    )


def test_float32_that_cannot_hold_the_sums():
    rng = np.random.default_rng(0)
    wide = Input("x", (), (64,), FixedPoint(16, 0, signed=False))
    net = Network("n", (wide, Dense("fc", ("x",), weights(rng, 64, 8, bits=16), weights(rng, 8, bits=16))))
    codes = rng.integers(0, 1 << 16, (20, 64))
    types = tensor_types(net)
    left = {name: types[name].decode(found) for name, found in emulate.trace(net, codes).items()}
    kernel, bias = (w.values.astype(np.float32) for w in (net["fc"].kernel, net["fc"].bias))
    right = {"x": left["x"], "fc": (left["x"].astype(np.float32) @ kernel + bias).astype(np.float64)}
    found = first_difference(left, right, ["x", "fc"], ("emulator", "Keras"), net)
    assert found.diagnosis.cause == "float32 limit"
    bits = types["fc"].width
    assert str(found.diagnosis) == (
        f"float32 limit: in Keras, its sums need up to {bits} bits, more than float32's 24 and sign: it rounds them"
    )


def seen(network, layer, values):
    """What is said of `values` of a layer whose inputs are right."""
    codes = np.random.default_rng(1).integers(
        network.input.type.low, network.input.type.high + 1, (40, *network.input.dims)
    )
    found = emulate.trace(network, codes)
    before = {name: found[name] for name in network[layer].sources}
    return diagnose(network, layer, before, values(found))


def one(layer, shape, kind=PIXEL):
    return Network("n", (Input("x", (), shape, kind), layer))


def test_right_values_have_no_diagnosis():
    net = network()
    assert seen(net, "fc", lambda found: tensor_types(net)["fc"].decode(found["fc"])) is None


@pytest.mark.parametrize(("off", "where"), [(-1, "before"), (1, "after")])
def test_a_table_read_one_entry_off(off, where):
    table = Weights(np.arange(16) * 7 % 16, FixedPoint(6, 2))
    index = FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)
    net = one(Table("t", ("x",), index, table), (4,), FixedPoint(8, 2))
    found = seen(net, "t", lambda codes: table.values[np.clip(index.cast(codes["x"], 6) + 8 + off, 0, 15)])
    assert str(found) == f"table index: the table is read 1 entry {where} the right one"


def test_a_mean_that_is_cut_off_before_it_is_rounded():
    kind = FixedPoint(8, 4, True, Rounding.RND_CONV, Overflow.SAT)
    net = one(AveragePool("mean", ("x",), (3,), (3,), ((0, 0),), kind), (9, 1), FixedPoint(8, 4))

    def cut(codes):  # to seven fraction bits, of which the stated type has four
        total = codes["x"].reshape(-1, 3, 3, 1).sum(axis=2)
        return np.floor_divide(total << 3, 3) / 128

    assert str(seen(net, "mean", cut)) == (
        "rounding mode: the mean is cut off at 7 fraction bits instead of rounded to fixed<8,4,RND_CONV,SAT>"
    )


@pytest.mark.parametrize("how", ["cut off", "rounded"])
def test_an_input_of_too_few_bits_in_a_depthwise_convolution(how):
    rng = np.random.default_rng(0)
    layer = DepthwiseConv("c", ("x",), weights(rng, 2, 3), weights(rng, 3), (1,), ((0, 0),))
    net = one(layer, (6, 3))
    kernel, bias = layer.kernel.values, layer.bias.values

    def coarse(codes):
        x = np.floor(codes["x"] / 8) if how == "cut off" else np.rint(codes["x"] / 8)
        return (x[:, :-1] * kernel[0] + x[:, 1:] * kernel[1]) / 32 + bias

    assert str(seen(net, "c", coarse)) == f"truncated input: its input is {how} at 5 of its 8 fraction bits"


def test_a_bias_that_is_left_out():
    net = network()
    found = seen(net, "fc", lambda codes: tensor_types(net)["fc"].decode(codes["fc"]) - net["fc"].bias.values)
    assert str(found) == "truncated weights: its bias is left out"


def test_the_largest_of_a_window_can_only_be_wrong_in_its_result():
    net = one(MaxPool("p", ("x",), (2,), (2,), ((0, 0),)), (8, 1))
    found = seen(net, "p", lambda codes: np.floor(codes["p"] / 4) / 64)
    assert str(found) == "wrap: the result is cast to fixed<7,1>, which does not hold its values"


@pytest.mark.parametrize("value", [np.nan, 0.3, 1e300])
def test_values_that_no_mistake_explains(value):
    net = network()
    right = values(net)["fc"]
    for layer in ("fc", "act"):
        assert seen(net, layer, lambda codes: np.full_like(right, value)) is None


def test_float32_is_not_blamed_for_what_it_could_hold():
    rng = np.random.default_rng(0)
    net = one(
        Dense("fc", ("x",), weights(rng, 64, 8, bits=16), weights(rng, 8, bits=16)), (64,), FixedPoint(16, 0, False)
    )
    right = tensor_types(net)["fc"]
    found = seen(net, "fc", lambda codes: right.decode(codes["fc"]) + 0.1)
    assert found is None
