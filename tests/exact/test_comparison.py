"""Differences planted in a layer, as the tools make them: found, counted, and given their cause."""

from dataclasses import replace

import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.exact import emulate
from fpgaml.exact.cause import diagnose
from fpgaml.exact.comparison import (
    Comparison,
    Difference,
    Execution,
    Executor,
    classify,
    first_difference,
    float32_limit,
)
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
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
from tests.networks import SAME, VALID, weights

PIXEL = FixedPoint(8, 0, signed=False)
RELU = FixedPoint(4, 1, False, Rounding.RND_CONV, Overflow.SAT)
LINEAR = FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)


def network(*behind, kind=RELU, function=Function.RELU, bias_bits=8):
    rng = np.random.default_rng(3)
    return Network(
        "n",
        (
            Input("x", (), (12,), PIXEL),
            Dense("fc", ("x",), weights(rng, 12, 6), weights(rng, 6, bits=bias_bits)),
            Activation("act", ("fc",), function, kind),
            Dense("out", ("act",), weights(rng, 6, 3), weights(rng, 3)),
        ),
    )


def cnn():
    rng = np.random.default_rng(3)
    layers = (
        Input("x", (), (6, 6, 2), PIXEL),
        Conv("conv", ("x",), weights(rng, 3, 3, 2, 3), weights(rng, 3), (2, 2), SAME),
        AveragePool("mean", ("conv",), (3, 3), (3, 3), VALID, FixedPoint(8, 4, True, Rounding.RND_CONV, Overflow.SAT)),
        Flatten("flat", ("mean",)),
    )
    return Network("n", layers)


def values(network, images=40, changed=None):
    """Return every layer's values, for the network or for one with layers replaced (by name)."""
    made = network
    for layer in (changed or {}).values():
        made = Network("n", tuple(layer if old.name == layer.name else old for old in made))
    codes = np.random.default_rng(1).integers(0, 256, (images, *network.input.dims))
    types = tensor_types(made)
    return {name: types[name].decode(found) for name, found in emulate.trace(made, codes).items()}


def difference(network, right, **kept):
    left = values(network)
    return first_difference(left, right, list(network.shapes), ("emulator", "tool"), network)


def planted(network, layer, **changes):
    """Return the difference to a network with one layer changed."""
    return difference(network, values(network, changed={layer: replace(network[layer], **changes)}))


def test_equal_executions_have_no_difference():
    assert difference(network(), values(network())) is None


def test_the_first_layer_is_named_with_count_examples_and_distance_in_codes():
    net = network()
    right = values(net)
    right["act"][3, 2] += 0.25
    right["act"][7, 1] += 0.5
    right["out"] += 1
    found = difference(net, right)
    left = values(net)["act"]
    assert (found.layer, found.count, found.total, found.codes, found.diagnosis) == ("act", 2, 240, 4.0, None)
    assert [(e.image, e.place) for e in found.examples] == [(3, (2,)), (7, (1,))]
    assert str(found) == (
        f"layer 'act': 2 of 240 values differ; the first at image 3, channel (2): emulator {float(left[3, 2])!r}, tool "
        f"{float(left[3, 2]) + 0.25!r}; the largest distance is 4 in units of the last place"
    )


def test_at_most_five_examples():
    net = network()
    right = values(net)
    right["out"] += 1
    assert len(difference(net, right).examples) == 5


def test_without_a_network_there_is_neither_distance_in_codes_nor_cause():
    left, right = {"a": np.zeros((2, 3))}, {"a": np.eye(2, 3)}
    found = first_difference(left, right, ["a"], ("one", "other"))
    assert isinstance(found, Difference)
    assert str(found) == "layer 'a': 2 of 6 values differ; the first at image 0, channel (0): one 0.0, other 1.0"


def test_shapes_must_agree():
    with pytest.raises(DataError) as caught:
        first_difference({"a": np.zeros((2, 3))}, {"a": np.zeros((2, 4))}, ["a"], ("one", "other"))
    assert str(caught.value) == "layer 'a': one has shape (2, 3), other (2, 4)"


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


@pytest.mark.parametrize(("window", "limit"), [((3,), "mean"), ((4,), None)])
def test_float32_cannot_be_trusted_with_a_mean_that_is_on_no_grid(window, limit):
    kind = FixedPoint(8, 0, False, Rounding.RND_CONV, Overflow.SAT)
    image = Input("x", (), (12, 1), FixedPoint(8, 0, False))
    net = Network("net", (image, AveragePool("mean", ("x",), window, window, ((0, 0),), kind)))
    assert float32_limit(net) == limit


# --- every mistake that is known by kind ------------------------------------------------------------------------------


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


def test_what_an_execution_lacks_is_computed_from_what_it_has():
    """The hidden layers are in neither execution: the output's inputs are recomputed, and its own mistake is found."""
    net = network()
    left = {name: found for name, found in values(net).items() if name in ("x", "out")}
    bias = net["out"].bias
    cut = replace(net["out"], bias=Weights(bias.codes >> 2 << 2, bias.type))
    right = {name: found for name, found in values(net, changed={"out": cut}).items() if name in ("x", "out")}
    found = first_difference(left, right, list(net.shapes), ("emulator", "tool"), net)
    assert str(found.diagnosis) == "truncated weights: in tool, its bias is cut off at 3 of its 5 fraction bits"
    found = first_difference({"out": left["out"]}, {"out": right["out"]}, ["out"], ("emulator", "tool"), net)
    assert found.diagnosis is None  # no image, no cause


def test_the_left_one_may_be_wrong():
    net = network()
    wrong = values(net, changed={"act": replace(net["act"], type=replace(RELU, rounding=Rounding.TRN))})
    found = first_difference(wrong, values(net), list(net.shapes), ("Keras", "emulator"), net)
    assert str(found.diagnosis).startswith("rounding mode: in Keras, the cast to ")


# --- classes ----------------------------------------------------------------------------------------------------------

LOGITS = np.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0], [-1.0, -2.0, -0.5], [0.0, 0.0, 5.0]])


def compared():
    other = LOGITS.copy()
    other[0] = [2.5, 2.0, 1.0]
    executions = (Execution(Executor.FLOAT, other), Execution(Executor.CSIM, LOGITS))
    return Comparison(np.array([1, 0, 2, 0]), executions)


def test_the_class_is_the_first_of_the_largest():
    assert classify(LOGITS).tolist() == [1, 0, 2, 2]
    assert classify(np.array([[0.5], [0.0], [-1.0]])).tolist() == [1, 0, 0]
    assert classify(LOGITS.reshape(4, 3, 1)).tolist() == [1, 0, 2, 2]


def test_a_comparison_by_hand():
    made = compared()
    assert (made.accuracy(Executor.CSIM), made.accuracy(Executor.FLOAT)) == (0.75, 0.5)
    assert made.agreement(Executor.FLOAT, Executor.CSIM) == 0.75
    assert made.mismatches(Executor.FLOAT, Executor.CSIM) == 1
    assert made.disagreements(Executor.FLOAT, Executor.CSIM).tolist() == [0]
    assert made.confusion(Executor.CSIM).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert made.confusion(Executor.FLOAT).tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    with pytest.raises(KeyError):
        made[Executor.QKERAS]
