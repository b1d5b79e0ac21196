"""What comes out of the hardware: values by hand, and refusals."""

import numpy as np
import pytest

from fpgaml.errors import ConfigError
from fpgaml.exact import emulate
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import Dense, Input, Network, Weights
from fpgaml.target.design import Design, Strategy, check_design
from fpgaml.target.output_head import MATRICES, Head, changed_classes, head_design, with_head
from fpgaml.target.toolchain import Backend
from tests.networks import cnn, mlp


def logits_of(values):
    """A network whose logits are its input."""
    kind = FixedPoint(12, 6)
    same = Dense("logits", ("x",), Weights.of(np.eye(len(values[0]))), Weights.of(np.zeros(len(values[0]))))
    return Network("plain", (Input("x", (), (len(values[0]),), kind), same)), kind.encode(np.array(values))


VALUES = [[0, 0, 0, 0], [5, 1, -3, 2], [-30, -30.5, -31, -29], [20, -20, 20, 0]]


def test_logits_are_the_network_itself():
    assert with_head(mlp(), Head.LOGITS) == mlp()


def test_argmax_is_one_bit_for_the_first_of_the_largest():
    network, codes = logits_of(VALUES)
    found = emulate.run(with_head(network, Head.ARGMAX), codes)
    assert found.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_softmax_is_near_the_real_one_and_rounds_where_it_says():
    network, codes = logits_of(VALUES)
    built = with_head(network, Head.SOFTMAX)
    found = emulate.run(built, codes) / 2**15
    right = np.exp(np.array(VALUES) - np.max(VALUES, axis=1, keepdims=True))
    right /= right.sum(axis=1, keepdims=True)
    assert found[0].tolist() == [0.25] * 4
    assert found[3].tolist()[::2] == [0.5, 0.5]
    # the index of the reciprocal has steps of 1/512 of a sum of 1 and more; a difference stops at -8, exp(-8) = 0.00034
    assert np.abs(found - right).max() < 1 / 1024 + 0.0004


def test_logits_closer_than_the_index_look_equal_and_are_counted():
    logits = np.array([[0, 1, 0], [8, 0, 0], [0, 0, 8]])  # codes of 1/512: one is a quarter of a step
    kind = FixedPoint(12, 3)
    same = Dense("logits", ("x",), Weights.of(np.eye(3)), Weights.of(np.zeros(3)))
    network = Network("close", (Input("x", (), (3,), kind), same))
    found = emulate.run(with_head(network, Head.SOFTMAX), logits)
    assert found[0].tolist() == [found[0][0]] * 3
    assert changed_classes(logits, found) == 1


def test_matrices_of_ones_keep_out_of_the_design():
    network = with_head(mlp(), Head.SOFTMAX)
    design = Design(Backend.VITIS, "xc7z020clg400-1", strategy=Strategy.RESOURCE, reuse_factor=2)
    with pytest.raises(ConfigError):
        check_design(network, design)
    built = head_design(design, Head.SOFTMAX)
    check_design(network, built)
    assert [built.reuse_of(name) for name in MATRICES] == [1, 1, 1]
    assert head_design(design, Head.ARGMAX) == design


def test_refusals():
    with pytest.raises(ConfigError) as caught:
        with_head(mlp(sizes=(4, 1)), Head.SOFTMAX)
    assert str(caught.value) == "output 'softmax' must have two or more logits on one axis, not shape (1,)"
    with pytest.raises(ConfigError) as caught:
        with_head(with_head(cnn(), Head.ARGMAX), Head.ARGMAX)
    assert str(caught.value) == "output 'argmax' makes a layer 'argmax', and the network has one; rename it"
