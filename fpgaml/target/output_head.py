"""What the hardware's outputs are: logits, one bit for the class, or softmax made of explicit tables.

    built = with_head(network, Head.SOFTMAX)      the same network with more layers behind its logits
    design = head_design(design, Head.SOFTMAX)    and how these are built

Softmax is ``exp(z - max) / sum(exp(z - max))`` out of layers that are exact each for itself, so emulator and C++ agree
bit for bit: the largest logit by pooling, the differences by an addition, the exponential and the reciprocal as tables
of stated types, one product. The rounding is all in the two tables, their indices, and the last cast: the constants
below. Logits closer than half a step of the first index look equal then: `changed_classes` counts what that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError
from fpgaml.ir.fixed import FixedPoint, Floats, Integers, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Add,
    ArgMax,
    Dense,
    Flatten,
    Function,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Reshape,
    Table,
    Weights,
)
from fpgaml.target.design import Design, LayerDesign, Strategy


class Head(StrEnum):
    """What comes out of the hardware."""

    LOGITS = "logits"
    ARGMAX = "argmax"
    SOFTMAX = "softmax"


# Where softmax rounds: a difference of logits (-8 to 0 in steps of 1/128), its exponential, the sum of these, the sum's
# reciprocal, the result.
DIFFERENCE = FixedPoint(11, 4, True, Rounding.RND_CONV, Overflow.SAT)
EXPONENTIAL = FixedPoint(17, 1, False, Rounding.RND_CONV, Overflow.SAT)
SUM_BITS = 12
RECIPROCAL = FixedPoint(17, 1, False, Rounding.RND_CONV, Overflow.SAT)
RESULT = FixedPoint(16, 1, False, Rounding.RND_CONV, Overflow.SAT)
MATRICES = ("softmax_lowered", "softmax_sum", "softmax_each")


def with_head(network: Network, head: Head) -> Network:
    """Return `network`, whose outputs are logits (classes,), with `head` behind them.

    Raises: ConfigError if there are no two logits to compare, or a layer has one of the new names already.
    """
    if head is Head.LOGITS:
        return network
    shape, logits = network.shapes[network.output.name], network.output.name
    if len(shape) != 1 or shape[0] < 2:
        raise ConfigError(f"output {str(head)!r} must have two or more logits on one axis, not shape {shape}")
    added = (ArgMax("argmax", (logits,)),) if head is Head.ARGMAX else _softmax(logits, shape[0])
    taken = [layer.name for layer in added if layer.name in network.shapes]
    if taken:
        raise ConfigError(f"output {str(head)!r} makes a layer {taken[0]!r}, and the network has one; rename it")
    return Network(network.name, (*network.layers, *added))


def head_design(design: Design, head: Head) -> Design:
    """Return `design` with the matrices of ones of `head` as plain adders, whatever the rest is."""
    if head is not Head.SOFTMAX:
        return design
    own = tuple(LayerDesign(name, reuse_factor=1, strategy=Strategy.LATENCY) for name in MATRICES)
    return replace(design, per_layer=(*design.per_layer, *own))


def changed_classes(logits: Integers, outputs: Integers) -> int:
    """Return for how many images the largest output is not where the largest logit is (the first of equals)."""
    return int((logits.argmax(axis=-1) != outputs.argmax(axis=-1)).sum())


def _softmax(logits: str, classes: int) -> tuple[Layer, ...]:
    total = FixedPoint(SUM_BITS, classes.bit_length(), False, Rounding.RND_CONV, Overflow.SAT)
    return (
        Reshape("softmax_row", (logits,), (classes, 1)),
        MaxPool("softmax_largest", ("softmax_row",), (classes,), (classes,), ((0, 0),)),
        Flatten("softmax_top", ("softmax_largest",)),
        _spread("softmax_lowered", "softmax_top", classes, -1),
        Add("softmax_difference", (logits, "softmax_lowered")),
        _table("softmax_exp", "softmax_difference", DIFFERENCE, EXPONENTIAL, np.exp),
        Dense("softmax_sum", ("softmax_exp",), Weights.of(np.ones((classes, 1))), Weights.of(np.zeros(1))),
        _table("softmax_reciprocal", "softmax_sum", total, RECIPROCAL, _reciprocal),
        _spread("softmax_each", "softmax_reciprocal", classes, 1),
        Multiply("softmax_product", ("softmax_exp", "softmax_each")),
        Activation("softmax", ("softmax_product",), Function.LINEAR, RESULT),
    )


def _reciprocal(total: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / np.maximum(total, 0.5)  # the sum is 1 and more, for one of its terms is 1


def _spread(name: str, source: str, classes: int, factor: int) -> Dense:
    """Return the layer that gives every class the one value of `source`, times 1 or -1."""
    return Dense(name, (source,), Weights.of(np.full((1, classes), factor)), Weights.of(np.zeros(classes)))


def _table(
    name: str, source: str, index: FixedPoint, result: FixedPoint, function: Callable[[Floats], Floats]
) -> Table:
    values = function(index.decode(np.arange(index.low, index.high + 1)))
    plain = FixedPoint(result.width, result.integer, result.signed)
    return Table(name, (source,), index, Weights(result.encode(values), plain))
