from itertools import pairwise

import numpy as np
import pytest

from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Conv, Dense, Flatten, Function, Input, MaxPool, Network, Weights

RELU = FixedPoint(6, 2, False, Rounding.RND_CONV, Overflow.SAT)


def trained(rng, *shape, bits=6):
    """Weights distributed like trained ones: normal, a third of the range."""
    top = 2 ** (bits - 1)
    codes = np.clip(np.round(rng.normal(0, top / 3, shape)), -top, top - 1).astype(np.int64)
    return Weights(codes, FixedPoint(bits, 1))


def dense_network(sizes, bits=6):
    rng = np.random.default_rng(7)
    layers = [Input("image", (), (sizes[0],), FixedPoint(8, 0, False))]
    last = "image"
    for place, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers.append(
            Dense(f"fc{place}", (last,), trained(rng, n_in, n_out, bits=bits), trained(rng, n_out, bits=bits))
        )
        last = f"fc{place}"
        if place < len(sizes) - 2:
            layers.append(Activation(f"relu{place}", (last,), Function.RELU, RELU))
            last = f"relu{place}"
    return Network("mlp", tuple(layers))


@pytest.fixture(scope="session")
def lecture_mlp():
    return dense_network((784, 256, 64, 32, 10))


@pytest.fixture(scope="session")
def jet_mlp():
    return dense_network((16, 64, 32, 32, 5), bits=8)


@pytest.fixture(scope="session")
def cnn():
    rng = np.random.default_rng(7)
    none = ((0, 0), (0, 0))
    return Network(
        "cnn",
        (
            Input("image", (), (28, 28, 1), FixedPoint(8, 0, False)),
            Conv("conv1", ("image",), trained(rng, 3, 3, 1, 8), trained(rng, 8), (1, 1), none),
            Activation("relu1", ("conv1",), Function.RELU, RELU),
            MaxPool("pool1", ("relu1",), (2, 2), (2, 2), none),
            Conv("conv2", ("pool1",), trained(rng, 3, 3, 8, 16), trained(rng, 16), (1, 1), none),
            Activation("relu2", ("conv2",), Function.RELU, RELU),
            MaxPool("pool2", ("relu2",), (2, 2), (2, 2), none),
            Flatten("flat", ("pool2",)),
            Dense("logits", ("flat",), trained(rng, 400, 10), trained(rng, 10)),
        ),
    )
