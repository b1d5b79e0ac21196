"""Small networks with random weights, for tests that need a network and not a trained one."""

from itertools import pairwise

import numpy as np

from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Conv, Dense, Flatten, Function, Input, MaxPool, Network, Weights

RELU = FixedPoint(6, 2, signed=False, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
SAME = ((1, 1), (1, 1))
VALID = ((0, 0), (0, 0))


def weights(rng, *shape, bits=6, integer=1):
    top = 1 << (bits - 1)
    return Weights(rng.integers(-top, top, shape), FixedPoint(bits, integer))


def mlp(seed=0, sizes=(20, 8, 5), name="mlp"):
    rng = np.random.default_rng(seed)
    layers = [Input("x", (), (sizes[0],), FixedPoint(8, 0, signed=False))]
    for at, (n, m) in enumerate(pairwise(sizes)):
        layers.append(Dense(f"fc{at}", (layers[-1].name,), weights(rng, n, m), weights(rng, m)))
        if at < len(sizes) - 2:
            layers.append(Activation(f"relu{at}", (layers[-1].name,), Function.RELU, RELU))
    return Network(name, tuple(layers))


def cnn(seed=0, name="cnn"):
    rng = np.random.default_rng(seed)
    layers = (
        Input("x", (), (8, 8, 2), FixedPoint(8, 0, signed=False)),
        Conv("c1", ("x",), weights(rng, 3, 3, 2, 4), weights(rng, 4), (1, 1), SAME),
        Activation("r1", ("c1",), Function.RELU, RELU),
        MaxPool("p1", ("r1",), (2, 2), (2, 2), VALID),
        Conv("c2", ("p1",), weights(rng, 2, 3, 4, 3), weights(rng, 3), (1, 1), VALID),
        Activation("r2", ("c2",), Function.LINEAR, FixedPoint(5, 3, True, Rounding.RND_CONV, Overflow.SAT_SYM)),
        Flatten("flat", ("r2",)),
        Dense("out", ("flat",), weights(rng, 18, 3), weights(rng, 3)),
    )
    return Network(name, layers)


def codes_for(network, count, seed=0):
    kind = network.input.type
    return np.random.default_rng(seed).integers(kind.low, kind.high + 1, (count, *network.input.dims))
