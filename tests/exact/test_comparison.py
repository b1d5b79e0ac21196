"""Differences planted in a layer, as the tools make them: found, counted, and given their cause."""

from dataclasses import replace

import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.exact import emulate
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
    Dense,
    Function,
    Input,
    Network,
    Weights,
)
from tests.networks import weights

PIXEL = FixedPoint(8, 0, signed=False)
RELU = FixedPoint(4, 1, False, Rounding.RND_CONV, Overflow.SAT)


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


@pytest.mark.parametrize(("window", "limit"), [((3,), "mean"), ((4,), None)])
def test_float32_cannot_be_trusted_with_a_mean_that_is_on_no_grid(window, limit):
    kind = FixedPoint(8, 0, False, Rounding.RND_CONV, Overflow.SAT)
    image = Input("x", (), (12, 1), FixedPoint(8, 0, False))
    net = Network("net", (image, AveragePool("mean", ("x",), window, window, ((0, 0),), kind)))
    assert float32_limit(net) == limit


# --- every mistake that is known by kind ------------------------------------------------------------------------------


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
