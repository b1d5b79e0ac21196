"""Any name that Keras gives a layer, for a layer of any kind: hls4ml writes whole C++, equal to the network."""

import re

import numpy as np
import pytest

from fpgaml.backend.hls4ml import convert
from fpgaml.frontend.legacy import _snake as snake
from fpgaml.frontend.read import READERS
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    RESERVED,
    SETTINGS,
    Activation,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Table,
    Weights,
    identifier,
)
from fpgaml.target.design import Backend, Design

BITS = FixedPoint(4, 2, True, Rounding.RND_CONV, Overflow.SAT)
ONE, NONE = Weights.of(np.ones(1)), Weights.of(np.zeros(1))
PLAIN = {"strides": (1, 1), "padding": ((0, 0), (0, 0))}
KINDS = {
    "Dense": lambda name, x: Dense(name, x, Weights.of(np.ones((1, 1))), NONE),
    "Conv": lambda name, x: Conv(name, x, Weights.of(np.ones((1, 1, 1, 1))), NONE, **PLAIN),
    "DepthwiseConv": lambda name, x: DepthwiseConv(name, x, Weights.of(np.ones((1, 1, 1))), NONE, **PLAIN),
    "MaxPool": lambda name, x: MaxPool(name, x, (1, 1), **PLAIN),
    "AveragePool": lambda name, x: AveragePool(name, x, (1, 1), **PLAIN, type=BITS),
    "ReLU": lambda name, x: Activation(name, x, Function.RELU, BITS),
    "LeakyReLU": lambda name, x: Activation(name, x, Function.RELU, BITS, 0.5),
    "linear": lambda name, x: Activation(name, x, Function.LINEAR, FixedPoint(5, 3)),
    "Table": lambda name, x: Table(name, x, BITS, Weights.of(np.arange(16) / 4)),
    "Affine": lambda name, x: Affine(name, x, Weights.of(np.full(1, 1.5)), NONE),
    "Flatten": lambda name, x: Flatten(name, x),
    "Reshape": lambda name, x: Reshape(name, x, (1, 1, 1)),
    "Pad": lambda name, x: Pad(name, x, ((0, 0), (0, 0))),
    "Add": lambda name, x: Add(name, x * 2),
    "Multiply": lambda name, x: Multiply(name, x * 2),
    "Concatenate": lambda name, x: Concatenate(name, x * 2),
}
# Keras' default names of all layers that are read, second ones of a kind among them
DEFAULTS = sorted({snake(kind) for kind in READERS} | {"dense_1", "activation_1", "image"})


def chain(kind, names):
    """A network with a layer of one kind under each name, a cast behind each."""
    layers = [Input("pixels", (), (1,) if kind == "Dense" else (1, 1, 1), BITS)]
    for number, name in enumerate(names):
        layers.append(KINDS[kind](name, (layers[-1].name,)))
        if kind in ("Flatten", "Concatenate"):
            whole = kind == "Flatten"
            layers.append(
                Reshape(f"r{number}", (name,), (1, 1, 1)) if whole else MaxPool(f"m{number}", (name,), (1, 1), **PLAIN)
            )
        layers.append(Activation(f"c{number}", (layers[-1].name,), Function.RELU, BITS))
    return Network("n", tuple(layers))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_takes_every_name(kind, tmp_path):
    names = [
        identifier(name, "layer") for name in (*DEFAULTS, *sorted(SETTINGS)[::9], "table", "bias", "scale", "n_in")
    ]
    if kind == "Concatenate":
        names = names[:8]  # twice as wide each time
    names = list(dict.fromkeys(names))
    made = chain(kind, names)
    convert(made, Design(Backend.VITIS, "xc7z020clg400-1"), tmp_path / "hls", log=tmp_path / "log")  # compares all
    for file in ("parameters.h", "defines.h", "n.cpp"):
        assert " object at 0x" not in (tmp_path / "hls/firmware" / file).read_text()
    top = (tmp_path / "hls/firmware/n.cpp").read_text()
    written = re.findall(r"// (\w+)$", top, re.MULTILINE)
    assert kind in ("Flatten", "Reshape") or set(names) <= set(written)


def test_every_setting_of_hls4ml_is_known():
    """A new hls4ml may have new settings, whose names are then no names for layers either."""
    from hls4ml.backends import get_backend
    from hls4ml.model import layers

    kinds = [one for one in vars(layers).values() if isinstance(one, type) and issubclass(one, layers.Layer)]
    found = {setting.name for kind in kinds for setting in kind._expected_attributes}
    for backend in Backend:
        found |= {setting.name for own in get_backend(str(backend)).attribute_map.values() for setting in own}
    recurrent = re.compile(r"(forward|backward)_\w+|inp\d_shape")
    assert {name for name in found if not recurrent.fullmatch(name)} <= SETTINGS | RESERVED
