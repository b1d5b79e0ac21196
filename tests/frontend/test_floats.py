"""Float Keras models against their FloatModels: equal to float32's precision where types are fine enough."""

import keras
import numpy as np
import pytest

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.exact.emulate import trace
from fpgaml.frontend.floats import batches, read
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.floatmodel import build
from fpgaml.precision.posttraining import PIXEL, start_types
from fpgaml.precision.profile import profile_floats

L = keras.layers


def sequential(shape, *layers):
    model = keras.Sequential([keras.Input(shape, name="image"), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0.3, 0.3, w.shape)) if "variance" in w.path else rng.normal(0, 0.4, w.shape)
                       for w in model.weights])  # fmt: skip
    return model


def branched():
    x = keras.Input((6, 6, 2), name="image")
    a = L.ReLU(name="a")(L.Conv2D(3, 3, padding="same", name="c1")(x))
    b = L.Conv2D(3, 1, name="c2")(a)
    y = L.Concatenate(name="side")([L.Add(name="sum")([a, b]), a])
    return keras.Model(x, L.Dense(2, name="out")(L.GlobalAveragePooling2D(name="mean")(y)))


def merged():
    x = keras.Input((5,), name="image")
    a, b = L.Dense(4, activation="relu")(x), L.Dense(4)(x)
    parts = [L.Multiply()([a, b]), L.Maximum()([a, b]), L.Minimum()([a, b]), L.Average()([a, b]), 2 * a - b]
    return keras.Model(x, L.Dense(2, name="out")(L.Concatenate()(parts)))


MODELS = {
    "mlp": lambda: sequential((4, 4), L.Flatten(), L.Dense(6, activation="relu"), L.Dropout(0.5), L.Dense(3)),
    "softmax": lambda: sequential((5,), L.Dense(4, name="fc"), L.Activation("relu", name="r"),
                                  L.Dense(3, activation="softmax", name="out")),
    "batch_norm": lambda: sequential((6, 6, 1), L.Conv2D(3, 3, name="c"), L.BatchNormalization(name="bn"),
                                     L.ReLU(name="r"), L.Flatten(), L.Dense(3, name="out")),
    "batch_norm_alone": lambda: sequential((5,), L.Dense(4, name="fc"), L.BatchNormalization(name="bn"),
                                           L.Dense(3, name="out")),
    "pools": lambda: sequential((9, 9, 1), L.Conv2D(2, 3, padding="same", activation="relu"),
                                L.MaxPooling2D(2, padding="same"), L.AveragePooling2D(2), L.Flatten(), L.Dense(2)),
    "conv1d": lambda: sequential((12, 2), L.ZeroPadding1D(1), L.Conv1D(3, 3, strides=2, activation="relu"),
                                 L.GlobalMaxPooling1D(), L.Dense(2)),
    "depthwise": lambda: sequential((6, 6, 2), L.DepthwiseConv2D(3, use_bias=False), L.Reshape((16, 2)), L.Flatten(),
                                    L.Dense(2)),
    "upsampling": lambda: sequential((4, 3, 1), L.UpSampling2D((1, 2)), L.Conv2D(2, 2, activation="relu"),
                                     L.Reshape((15, 2)), L.UpSampling1D(2), L.Flatten(), L.Dense(2)),
    "prelu": lambda: sequential((5, 2), L.Conv1D(3, 2), L.PReLU(), L.PReLU(shared_axes=[1]), L.Flatten(),
                                L.Dense(3), L.PReLU(), L.Dense(2)),
    "branched": branched,
    "leaky": lambda: sequential((5,), L.Dense(4), L.LeakyReLU(0.25), L.Dense(3)),
    "bounded": lambda: sequential((5,), L.Dense(4), L.ReLU(0.5, negative_slope=0.25), L.Dense(3, activation="relu6"),
                                  L.Dense(2)),
    "batch_norm_first": lambda: sequential((5,), L.BatchNormalization(), L.Dense(4, activation="relu"),
                                           L.BatchNormalization(), L.Dense(3)),
    "normalized": lambda: sequential((5,), L.Normalization(mean=[0.1] * 5, variance=[0.2] * 5), L.Rescaling(1 / 3, 0.5),
                                     L.Dense(3)),
    "separable": lambda: sequential((6, 6, 2), L.SeparableConv2D(3, 3, activation="relu"), L.Cropping2D(1), L.Flatten(),
                                    L.Dense(2)),
    "kernels": lambda: sequential((7, 7, 4), L.Conv2D(4, 2, groups=2, dilation_rate=2, activation="relu"),
                                  L.DepthwiseConv2D(2, depth_multiplier=2), L.BatchNormalization(), L.Flatten(),
                                  L.Dense(2)),
    "merged": lambda: merged(),
    "by_step": lambda: sequential((4, 3), L.TimeDistributed(L.Dense(5, activation="relu")), L.Flatten(), L.Dense(2)),
}  # fmt: skip


# bits with which sums behind sums stay within 63, and how close that is
FEWER = {"separable": (16, 2e-3), "merged": (22, 1e-4), "kernels": (16, 2e-3)}


@pytest.mark.parametrize("name", MODELS)
def test_fine_types_give_what_keras_gives(name):
    model = MODELS[name]()
    reading = read(model, name="m")
    codes = np.random.default_rng(1).integers(0, 256, (20, *model.input_shape[1:]))
    values = codes / 256
    ranges = profile_floats(batches(model, reading, values, batch=7))
    bits, close = FEWER.get(name, (22, 2e-5))
    network = build(reading.model, start_types(reading.model, ranges, bits=bits))
    found = trace(network, codes)
    decoded = {key: tensor_types(network)[key].decode(value) for key, value in found.items()}
    for batch in batches(model, reading, values, batch=20):
        for key, wanted in batch.items():
            np.testing.assert_allclose(decoded[key], wanted, atol=close)  # float32 against 22 bits: close, never equal
    logits = keras.Model(model.inputs[0], model.layers[-1].output)(values).numpy()
    ours = decoded[network.output.name]
    if name == "softmax":
        ours = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, logits, atol=close)


def test_layers_and_names_of_the_lecture_network():
    found = read(MODELS["softmax"](), name="m")
    assert [(layer.kind.__name__, layer.name) for layer in found.model.layers] == [
        ("Input", "image"),
        ("Dense", "fc"),
        ("Activation", "r"),
        ("Dense", "out"),
    ]
    assert found.keras_names == {"r": "r"}
    assert found.notes == (
        "the softmax at the end is left out: the outputs are logits, and the class is the largest logit",
    )


def test_sums_that_nothing_rounds_get_a_rounding_and_logits_none():
    names = [layer.name for layer in read(branched(), name="m").model.layers]
    assert names == ["image", "c1", "a", "c2", "c2_round", "sum", "sum_round", "side", "mean", "mean_flat", "out"]


def test_a_quantized_network_is_exact_at_its_own_types():
    model = MODELS["mlp"]()
    reading = read(model, name="m")
    kind = FixedPoint(6, 2, False, Rounding.RND_CONV, Overflow.SAT)
    types = {name: FixedPoint(6, 2, True, Rounding.RND_CONV, Overflow.SAT) for name in reading.model.weights}
    types |= {reading.model.activations[0]: PIXEL, reading.model.activations[1]: kind}
    network = build(reading.model, types)
    rounded = kind  # by hand: kernel and bias rounded to 4 fraction bits, sums exact, activation rounded
    x = np.arange(16).reshape(1, 4, 4) * 16
    w = {name: np.clip(np.rint(v * 16), -32, 31) / 16 for name, v in reading.model.weights.items()}
    names = list(w)
    hidden = rounded.decode(rounded.encode(np.maximum(x.reshape(1, 16) / 256 @ w[names[0]] + w[names[1]], 0)))
    logits = hidden @ w[names[2]] + w[names[3]]
    ours = tensor_types(network)[network.output.name].decode(trace(network, x)[network.output.name])
    np.testing.assert_array_equal(ours, logits)


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "elu", "softplus", "silu"])
def test_a_function_inside_is_a_table_and_said(function):
    model = sequential((5,), L.Dense(4, activation=function, name="fc"), L.Dense(3, name="out"))
    reading = read(model, name="m")
    codes = np.random.default_rng(1).integers(0, 256, (50, 5))
    network = build(reading.model, start_types(reading.model, {}, bits=16))
    table = network[f"fc_{function}"]
    assert reading.notes == (
        f"layer 'fc_{function}': a table of {table.index} to {table.table.type} stands for {function}",
    )
    ours = table.table.type.decode(trace(network, codes)[table.name])
    theirs = keras.Model(model.inputs[0], model.layers[0].output)(codes / 256).numpy()
    step = table.table.type.step + table.index.step  # half of each: the slopes are 1 at most
    assert 0 < np.abs(ours - theirs).max() <= step / 2 + 1e-3


SUPPORTED = (
    "relu, leaky_relu, linear, sigmoid, tanh, elu, exponential, gelu, hard_sigmoid, hard_silu, hard_swish, mish, selu, "
    "silu, softplus, softsign, swish, and softmax at the end"
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sequential((5,), L.Dense(3, activation="log_softmax", name="fc")),
            f"layer 'fc': activation 'log_softmax' cannot be quantized after training; supported are {SUPPORTED}",
        ),
        (
            lambda: sequential((5,), L.Dense(3, activation="softmax", name="fc"), L.Dense(2)),
            f"layer 'fc': activation 'softmax' cannot be quantized after training; supported are {SUPPORTED}",
        ),
        (
            lambda: sequential((5,), L.Dense(3), L.ReLU(threshold=6.0, name="r6")),
            "layer 'r6': a ReLU must have no threshold, not 6.0",
        ),
    ],
)
def test_what_has_no_types_is_refused(make, message):
    with pytest.raises(UnsupportedLayer) as error:
        read(make(), name="m")
    assert str(error.value) == message


def test_weights_that_are_no_numbers_are_refused():
    model = sequential((3,), L.Dense(2, name="fc"))
    model.set_weights([np.full((3, 2), np.nan), np.zeros(2)])
    with pytest.raises(DataError) as error:
        read(model, name="m")
    assert str(error.value) == "weights 'fc.kernel' must be finite; 6 of 6 are NaN or infinite"
