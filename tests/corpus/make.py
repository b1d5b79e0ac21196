"""Write the models of the corpus, each with the inputs and outputs of the very program that made it.

    python make.py FOLDER [NAME...]      run by the Python of a stack, with its Keras and QKeras (stacks.sh)

Each function up to "writing" is a model. Beside each lies ``<name>.npz``: `codes` (integers, 256 times the inputs)
and `logits`, the outputs before a last softmax or sigmoid. Weights are drawn at random, seeded by the name. What a
stack cannot make is said and left out. Nothing of fpgaml is imported.
"""

import sys
import zlib
from pathlib import Path

import numpy as np

try:  # a stack of its own Keras, or the one inside TensorFlow 2
    import tensorflow as tf

    OLD = tf.__version__.startswith(("2.12", "2.15"))
    keras = tf.keras if OLD else __import__("keras")
except ImportError:
    OLD = False
    import keras

import qkeras
from qkeras import QActivation, QConv1D, QConv2D, QDense, quantized_bits, quantized_relu

L = keras.layers
STACK = f"tf{tf.__version__[0]}{tf.__version__[2:4]}" if OLD else "keras3"
IMAGES = 24


HELPERS = ("bits", "quantizers", "dense", "conv", "conv1d", "relu", "sequential", "functional")


def bits(*args, **kwargs):
    return quantized_bits(*args, **{"alpha": 1, **kwargs})


def quantizers(n=6, integer=0):
    return {"kernel_quantizer": bits(n, integer), "bias_quantizer": bits(n, integer)}


def dense(units, **options):
    return QDense(units, **{**quantizers(), **options})


def conv(filters, size=3, **options):
    return QConv2D(filters, size, **{**quantizers(), **options})


def conv1d(filters, size=3, **options):
    return QConv1D(filters, size, **{**quantizers(), **options})


def relu(n=6, integer=2):
    return QActivation(quantized_relu(n, integer))


def sequential(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def functional(shape, make):
    x = keras.Input(shape)
    return keras.Model(x, make(x))


# --- quantized, exact ------------------------------------------------------------------------------------------------


def mlp():
    return sequential((12,), dense(8), relu(), dense(5), L.Activation("softmax"))


def mlp_fused():
    return sequential((12,), dense(8, activation=quantized_relu(6, 2)), L.Dropout(0.3), dense(4, activation="softmax"))


def cnn():
    return sequential((8, 8, 1), conv(3), relu(), L.MaxPooling2D(2), L.Flatten(), dense(4), L.Activation("softmax"))


def cnn_same():
    return sequential(
        (7, 6, 2),
        conv(3, (3, 2), strides=2, padding="same"),
        relu(),
        L.MaxPooling2D(2, padding="same"),
        L.Flatten(),
        dense(3),
    )


def cnn_folded():
    layer = qkeras.QConv2DBatchnorm(3, 3, **quantizers())
    return sequential((8, 8, 1), layer, relu(), L.Flatten(), dense(3))


def dense_folded():
    return sequential((10,), qkeras.QDenseBatchnorm(6, **quantizers()), relu(), dense(3))


def depthwise():
    layer = qkeras.QDepthwiseConv2D(3, depthwise_quantizer=bits(5, 0), bias_quantizer=bits(5, 0))
    return sequential((7, 7, 2), layer, relu(), conv(3, 1), relu(), L.GlobalMaxPooling2D(), dense(3))


def separable():
    three = {"depthwise_quantizer": bits(5, 0), "pointwise_quantizer": bits(5, 0), "bias_quantizer": bits(5, 0)}
    return sequential((7, 7, 2), qkeras.QSeparableConv2D(3, 3, **three), relu(), L.Flatten(), dense(3))


def conv_1d():
    return sequential(
        (16, 2), conv1d(4), relu(), L.MaxPooling1D(2), conv1d(3, padding="same"), relu(), L.Flatten(), dense(3)
    )


def average():
    return sequential((8, 8, 2), conv(3), relu(), L.AveragePooling2D(2), QActivation(bits(8, 3)), L.Flatten(), dense(3))


def global_average():
    return sequential((6, 6, 2), conv(4), relu(), L.GlobalAveragePooling2D(), dense(3))


def skip():
    def make(x):
        a = relu()(dense(6)(x))
        b = QActivation(bits(7, 2))(dense(6)(a))
        return dense(3)(L.Concatenate()([L.Add()([a, b]), a]))

    return functional((6,), make)


def operators():
    """Operators on tensors instead of layers."""

    def make(x):
        a = relu()(dense(6)(x))
        return dense(3)(a + dense(6)(a))

    return functional((6,), make)


def ternary_binary():
    return sequential(
        (10,),
        dense(8, kernel_quantizer=qkeras.ternary(alpha=1)),
        QActivation("ternary()"),
        dense(6, kernel_quantizer=qkeras.binary(alpha=1)),
        QActivation("binary()"),
        dense(3),
    )


def powers_of_two():
    return sequential((10,), dense(8, kernel_quantizer=qkeras.quantized_po2(4)), relu(), dense(3))


def alpha_default():
    """QKeras' own default: alpha None, a power of two for each channel."""
    one = {"kernel_quantizer": quantized_bits(4, 0), "bias_quantizer": quantized_bits(4, 0)}
    return sequential((10,), QDense(8, **one), relu(), QDense(3, **one))


def tanh_sigmoid():
    return sequential(
        (8,), dense(6), QActivation("quantized_tanh(6)"), dense(6), QActivation("quantized_sigmoid(6)"), dense(3)
    )


def leaky():
    return sequential(
        (8,), dense(6), QActivation(quantized_relu(6, 2, negative_slope=0.25)), dense(6), L.LeakyReLU(0.25), dense(3)
    )


def hard_functions():
    return sequential((8,), dense(6), QActivation("hard_tanh"), dense(6), QActivation("quantized_relu(4,1)"), dense(3))


def linear_quantizer():
    return sequential(
        (8,),
        dense(6, kernel_quantizer=qkeras.quantized_linear(5, 0, alpha=None)),
        QActivation(qkeras.quantized_linear(6, 2, alpha=None)),
        dense(3),
    )


def binary_class():
    return sequential((8,), dense(6), relu(), dense(1, activation="sigmoid"))


def float_bias():
    return sequential((8,), QDense(6, kernel_quantizer=bits(6, 0)), relu(), QDense(3, kernel_quantizer=bits(6, 0)))


def nothing_at_inference():
    noise = [L.GaussianNoise(0.1), L.GaussianDropout(0.2), L.ActivityRegularization(l2=0.1), L.Dropout(0.1)]
    return sequential((8,), dense(6), *noise, relu(), dense(3))


def spatial_dropout():
    return sequential((8, 8, 2), conv(3), L.SpatialDropout2D(0.2), relu(), L.Flatten(), dense(3))


def bounded_relu():
    return sequential((8,), dense(6), L.ReLU(max_value=6), dense(6), L.Activation(L.ReLU()), dense(3))


def rescaled():
    return sequential((6, 6, 1), L.Rescaling(1 / 4), conv(3), relu(), L.Flatten(), dense(3))


def time_distributed():
    return sequential((5, 4), L.TimeDistributed(dense(6)), relu(), L.Flatten(), dense(3))


def causal():
    return sequential((12, 2), conv1d(4, padding="causal"), relu(), L.Flatten(), dense(3))


def dilated():
    return sequential((12, 2), conv1d(4, dilation_rate=2), relu(), L.Flatten(), dense(3))


def permuted():
    return sequential((4, 6), L.Permute((2, 1)), conv1d(3), relu(), L.Flatten(), dense(3))


def cropped():
    return sequential((8, 8, 2), conv(3), L.Cropping2D(((1, 0), (2, 1))), relu(), L.Flatten(), dense(3))


def padded():
    return sequential((8, 2), L.ZeroPadding1D((1, 2)), conv1d(3), relu(), L.Flatten(), dense(3))


def merged():
    """Difference, mean, largest and smallest of two."""

    def make(x):
        a, b = relu()(dense(6)(x)), QActivation(bits(6, 2))(dense(6)(x))
        return dense(3)(
            L.Concatenate()(
                [
                    L.Subtract()([a, b]),
                    L.Average()([a, b]),
                    L.Maximum()([a, b]),
                    L.Minimum()([a, b]),
                    L.Multiply()([a, b]),
                ]
            )
        )

    return functional((6,), make)


def shared():
    def make(x):
        layer, act = dense(6), relu()
        return dense(3)(act(layer(act(layer(x)))))

    return functional((6,), make)


def nested():
    inner = keras.Sequential([keras.Input((6,)), dense(5), relu()], name="encoder")
    return keras.Sequential([keras.Input((8,)), dense(6), relu(), inner, dense(3)])


def nested_functional():
    y = keras.Input((6,))
    inner = keras.Model(y, L.Add()([relu()(dense(6)(y)), y]), name="block")

    def make(x):
        return dense(3)(inner(relu()(dense(6)(x))))

    return functional((8,), make)


def concatenated_rows():
    def make(x):
        return dense(3)(L.Flatten()(L.Concatenate(axis=1)([relu()(conv1d(3)(x)), relu()(conv1d(3, 2)(x))])))

    return functional((8, 2), make)


# --- rounded to a stated grid -----------------------------------------------------------------------------------------


def normalized():
    return sequential((10,), dense(8), L.BatchNormalization(), relu(), dense(3))


def cnn_normalized():
    return sequential(
        (8, 8, 1),
        conv(3, use_bias=False),
        L.BatchNormalization(),
        relu(),
        L.MaxPooling2D(2),
        L.Flatten(),
        dense(4, activation="softmax"),
    )


def normalized_plain():
    return sequential((10,), dense(8), L.BatchNormalization(scale=False, center=False), relu(), dense(3))


def normalized_input():
    return sequential((10,), L.BatchNormalization(), QActivation(bits(8, 2)), dense(6), relu(), dense(3))


def alpha_auto():
    return sequential((10,), dense(6, kernel_quantizer=quantized_bits(4, 0, alpha="auto")), relu(), dense(3))


def float_functions():
    return sequential((8,), dense(6), L.Activation("tanh"), dense(6), L.Activation("sigmoid"), dense(3))


# --- float: for quantization after training ---------------------------------------------------------------------------


def float_mlp():
    return sequential((12,), L.Dense(8, activation="relu"), L.Dense(4, activation="softmax"))


def float_cnn():
    return sequential(
        (8, 8, 1), L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(2), L.Flatten(), L.Dense(4)
    )


# --- refused ----------------------------------------------------------------------------------------------------------


def python_code():
    return sequential((8,), dense(6), L.Lambda(lambda x: x * 2), dense(3))


def recurrent():
    return sequential(
        (6, 3),
        qkeras.QGRU(4, kernel_quantizer=bits(6, 0), recurrent_quantizer=bits(6, 0), bias_quantizer=bits(6, 0)),
        dense(3),
    )


def recurrent_float():
    return sequential((6, 3), L.LSTM(4), dense(3))


def two_inputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], dense(3)(L.Concatenate()([a, b])))


def two_outputs():
    x = keras.Input((4,))
    y = relu()(dense(4)(x))
    return keras.Model(x, [dense(3)(y), dense(2)(y)])


def attention():
    def make(x):
        return dense(3)(L.Flatten()(L.MultiHeadAttention(2, 4)(x, x)))

    return functional((4, 4), make)


def pruned(model=None):
    """Wrapped for pruning by TensorFlow's toolkit."""
    from tensorflow_model_optimization.sparsity import keras as sparsity

    schedule = sparsity.ConstantSparsity(0.5, 0)
    return sparsity.prune_low_magnitude(model or sequential((12,), dense(8), relu(), dense(5)), schedule)


def pruned_cnn():
    return pruned(sequential((8, 8, 1), conv(3), relu(), L.Flatten(), dense(3)))


MODELS = {
    name: make
    for name, make in list(globals().items())
    if getattr(make, "__module__", "") == __name__ and callable(make) and name not in HELPERS
}


# --- writing ----------------------------------------------------------------------------------------------------------


def fill(model, name):
    """Draw weights, a variance above zero."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for variable in model.weights:
        path = getattr(variable, "path", variable.name)
        value = np.asarray(variable)
        if value.dtype.kind != "f" or value.ndim == 0 or "mask" in path or "threshold" in path:
            continue
        positive = "variance" in path or "gamma" in path
        variable.assign(rng.uniform(0.3, 1.7, value.shape) if positive else rng.normal(0, 0.4, value.shape))
    for layer in model.layers:  # a mask of half the weights, as pruning leaves it
        for weight, mask, _ in getattr(layer, "pruning_vars", []):
            mask.assign(np.abs(np.asarray(weight)) > 0.25)
            weight.assign(np.asarray(weight) * np.asarray(mask))


def bare(model):
    """Return the model up to its last softmax or sigmoid."""
    last = model.layers[-1]
    if getattr(getattr(last, "activation", None), "__name__", "") not in ("softmax", "sigmoid"):
        return model
    if isinstance(last, L.Activation):
        return keras.Model(model.inputs, last.input)
    kept, last.activation = last.activation, keras.activations.linear
    found = keras.Model(model.inputs, model.outputs)
    found(np.zeros((1, *model.inputs[0].shape[1:]), np.float32))
    last.kept = kept
    return found


def answers(model, codes):
    """Return the outputs before a last softmax or sigmoid for inputs ``codes / 256``."""
    values = [(part / 256).astype(np.float32) for part in codes]
    found = bare(model)(values[0] if len(values) == 1 else values, training=False)
    last = model.layers[-1]
    if hasattr(last, "kept"):
        last.activation = last.kept
        del last.kept
    return [np.asarray(one) for one in (found if isinstance(found, (list, tuple)) else [found])]


def write(folder, name, suffixes, make):
    model = make()
    fill(model, name)
    shapes = [tuple(one.shape[1:]) for one in model.inputs]
    rng = np.random.default_rng(7)
    codes = [rng.integers(0, 256, (IMAGES, *shape), np.uint8) for shape in shapes]
    logits = answers(model, codes)
    for suffix in suffixes:
        path = folder / f"{name}{suffix}"
        path.unlink(missing_ok=True)
        if suffix == ".json":
            path.write_text(model.to_json())
            model.save_weights(path.with_suffix(".weights.h5"))
        else:
            model.save(path)
    np.savez_compressed(folder / f"{name}.npz", codes=codes[0], logits=logits[0])


SUFFIXES = {"tf212": ".h5", "tf215": ".keras", "keras3": ".keras"}
DESCRIBED = ("mlp", "cnn_normalized")  # as a .json and a file of weights too

if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        try:
            write(out, name, [SUFFIXES[STACK], *([".json"] if name in DESCRIBED else [])], make)
        except Exception as error:  # noqa: BLE001 - whatever a stack says
            sys.stdout.write(f"{STACK} cannot make {name}: {type(error).__name__}: {str(error)[:200]}\n")
