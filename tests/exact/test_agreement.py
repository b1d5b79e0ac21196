"""Two executions held together: every value that differs is counted, and the first is named."""

import numpy as np
import pytest

from fpgaml.errors import BitMismatch, DataError
from fpgaml.exact import emulate
from fpgaml.exact.agreement import decoded, hold
from fpgaml.exact.comparison import Executor
from fpgaml.ir.accumulate import tensor_types
from tests.networks import mlp

NETWORK = mlp()
CODES = np.random.default_rng(0).integers(0, 256, (5, *NETWORK.input.dims))
ORDER = list(NETWORK.shapes)


def traced():
    return decoded(NETWORK, emulate.trace(NETWORK, CODES))


def test_equal_executions_agree():
    found = hold(traced(), traced(), ORDER)
    assert found.first is None
    assert found.counts == dict.fromkeys(ORDER, 0)
    assert found.values == sum(5 * int(np.prod(NETWORK.shapes[name])) for name in ORDER)
    found.require()


def test_each_value_that_differs_is_counted_and_the_first_named():
    ours, theirs = traced(), traced()
    name = NETWORK.output.name
    step = tensor_types(NETWORK)[name].step
    theirs[name][3, 1] += step
    theirs[name][4, 0] -= 2 * step
    found = hold(ours, theirs, ORDER)
    assert found.counts == dict.fromkeys(ORDER, 0) | {name: 2}
    assert np.argwhere(found.wrong[name]).tolist() == [[3, 1], [4, 0]]
    text = (
        f"layer {name!r}: 2 of {ours[name].size} values differ; the first at image 3, channel (1): emulator "
        f"{float(ours[name][3, 1])!r}, C simulation {float(theirs[name][3, 1])!r}"
    )
    with pytest.raises(BitMismatch) as caught:
        found.require("behind the logits, ")
    assert str(caught.value) == f"behind the logits, {text}"
    explained = hold(ours, theirs, ORDER, network=NETWORK)
    assert str(explained.first) == f"{text}; the largest distance is 2 in units of the last place"


def test_only_layers_that_both_have_are_held():
    ours = traced()
    some = {name: ours[name] for name in ORDER[1:]}
    assert list(hold(ours, some, ORDER, (Executor.EMULATOR, Executor.KERAS)).counts) == ORDER[1:]


def test_values_of_another_shape_are_refused():
    ours = traced()
    name = NETWORK.output.name
    other = ours | {name: ours[name][:, :1]}
    with pytest.raises(DataError) as caught:
        hold(ours, other, ORDER, (Executor.EMULATOR, Executor.QKERAS))
    rows, columns = ours[name].shape
    assert str(caught.value) == f"layer {name!r}: emulator has shape {(rows, columns)}, QKeras {(rows, 1)}"
