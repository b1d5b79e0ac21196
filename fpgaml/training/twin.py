"""The QKeras twin of a float Keras model, started from its weights.

    qmodel = twin(model, card.quantization, images)      # layers of the same names, ready to `train`

What the twin holds to, so that hardware can equal it bit for bit: every weight and bias has a quantizer with
``alpha=1`` (a plain fixed-point grid); every activation inside the network ends in a quantizer; batch normalization is
folded into the layer before it, so training sees the weights that hardware gets; the last softmax stays a layer of its
own and the layer before it gives exact logits. Integer bits that the card leaves "auto" are chosen by the least squared
error on the float weights, or on the float activations of some training images.

Each float layer is replaced by `_replace`, which returns the layers that stand for it; `qkeras.utils.model_quantize` is
not used (it drops biases' quantizers, and on Keras 3 fails for functional models).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import qkeras

from fpgaml.card.sections import LayerQuantization, Quantization
from fpgaml.errors import ConfigError, UnsupportedLayer, nearest
from fpgaml.frontend.folding import Folded, fold
from fpgaml.frontend.graph import WEIGHTED, Graph, Layer, Node, activation_of, walk
from fpgaml.ir.fixed import Array

Quantizer = Any  # a QKeras quantizer object

AVERAGES = (keras.layers.AveragePooling1D, keras.layers.AveragePooling2D)
UNCHANGED = (
    keras.layers.Flatten, keras.layers.Reshape, keras.layers.Dropout, keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D, keras.layers.Add, keras.layers.Concatenate, keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D, keras.layers.UpSampling1D, keras.layers.UpSampling2D,
)  # fmt: skip
FINAL = ("softmax", "sigmoid")

WEIGHT_QUANTIZERS = ("quantized_bits", "quantized_linear", "quantized_po2", "ternary", "binary")
ACTIVATION_QUANTIZERS = ("quantized_relu", "quantized_bits")  # those that the Network has an exact meaning for

CALIBRATION_IMAGES = 1000
SLOPE_BITS = 8  # of a PReLU's slopes, where the card names a quantizer for weights instead of bits


def twin(model: keras.Model, quantization: Quantization, images: Array) -> keras.Model:
    """Return the QKeras model that stands for the float `model`, with its weights.

    `images` are real training images as the network sees them, shape (images, ...): some hundred are enough to choose
    the integer bits of activations.

    Raises: ConfigError if a quantizer cannot be made; UnsupportedLayer for a layer that has no quantized form.
    """
    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # a Sequential has no graph to walk
    graph = walk(functional)
    _check_names(graph, quantization)
    folded, gone = fold(graph)
    logits = next((node for node in reversed(list(graph)) if isinstance(node.layer, WEIGHTED)), None)
    ranges = _Ranges(functional, images[:CALIBRATION_IMAGES])
    stands_for: dict[str, tuple[Layer, ...]] = {}
    for node in graph:
        if isinstance(node.layer, keras.layers.InputLayer):
            continue
        if node.name in gone:
            stands_for[node.name] = ()
            continue
        own = quantization.of(_owner(graph, node, quantization))
        stands_for[node.name] = _replace(node, own, folded, ranges, final=node is logits)

    def call(layer: Layer, *inputs: Any, **options: Any) -> Any:
        if layer.name not in stands_for:
            return layer(*inputs, **options)
        tensor = inputs[0]
        for new in stands_for[layer.name]:
            tensor = new(tensor)
        return tensor

    quantized = keras.models.clone_model(functional, call_function=call)
    for name, values in folded.items():
        arrays = [values.kernel] if values.bias is None else [values.kernel, values.bias]
        quantized.get_layer(name).set_weights(arrays)
    return quantized


def quantizer(text: str, known: tuple[str, ...], what: str) -> Quantizer:
    """Return the QKeras quantizer written as ``name(1, 2, key=3)``; alpha is 1 unless given.

    Raises: ConfigError naming `what` if the text is no call, or QKeras has no such quantizer or setting.
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("not a call")
        name = call.func.id
        arguments = [ast.literal_eval(argument) for argument in call.args]
        settings = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"{what} must be a QKeras quantizer such as 'quantized_bits(4, 0, alpha=1)', not {text!r}"
        ) from error
    if name not in known:
        raise ConfigError(f"{what} must be one of {', '.join(known)}, not {name!r}{nearest(name, known)}")
    try:
        made = getattr(qkeras, name)(*arguments, **settings)
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"{what}: QKeras cannot make {text!r}: {error}") from error
    if getattr(made, "alpha", 1) is None:
        made = getattr(qkeras, name)(*arguments, **(settings | {"alpha": 1}))
    if getattr(made, "use_sigmoid", False):
        raise ConfigError(
            f"{what}: the third number of quantized_relu is use_sigmoid, which has no exact hardware form; leave it out"
        )
    return made


def best_integer(values: Array, bits: int, *, signed: bool, low: int = -8, high: int = 16) -> int:
    """Return the integer bits (without the sign) that round `values` to `bits` bits with the least squared error.

    Raises: ConfigError if a value is not finite.
    """
    array = np.asarray(values, np.float64).ravel()
    if not np.isfinite(array).all():
        raise ConfigError("weights and activations must be finite numbers, not NaN or infinite")
    errors: dict[int, float] = {}
    for integer in range(low, high + 1):
        step = 2.0 ** (integer - bits + signed)
        most = 2**integer - step
        rounded = np.clip(np.rint(array / step) * step, -(2.0**integer) if signed else 0.0, most)
        errors[integer] = float(((array - rounded) ** 2).sum())
    return min(errors, key=lambda integer: (errors[integer], integer))


def size(model: keras.Model) -> dict[str, tuple[int, int]]:
    """Return for each weighted layer of a QKeras model its number of weights and how many are not zero."""
    return {
        layer.name: (int(kernel.size), int(np.count_nonzero(kernel)))
        for layer in model.layers
        if (kernel := quantized_kernel(layer)) is not None
    }


def quantized_kernel(layer: Layer) -> Array | None:
    """Return the kernel of a layer as its quantizer gives it; None if the layer has no kernel."""
    if not isinstance(layer, WEIGHTED):
        return None
    quantize = getattr(layer, "kernel_quantizer_internal", None) or getattr(layer, "depthwise_quantizer_internal", None)
    return np.asarray(quantize(layer.kernel) if quantize else layer.kernel)


def _replace(
    node: Node, own: LayerQuantization, folded: Mapping[str, Folded], ranges: _Ranges, *, final: bool
) -> tuple[Layer, ...]:
    """Return the layers that stand for one float layer."""
    layer = node.layer
    match layer:
        case keras.layers.Dense() | keras.layers.Conv1D() | keras.layers.Conv2D() | keras.layers.DepthwiseConv2D():
            made = _weighted(layer, own, folded[layer.name])
            fused = activation_of(layer)
            if fused in FINAL:
                return made, keras.layers.Activation(fused, name=f"{layer.name}_{fused}")
            if fused == "linear" and (final or _is_activated(node)):
                return (made,)
            return made, _active(f"{layer.name}_{fused}", fused, own, ranges.of(node))
        case keras.layers.Activation() | keras.layers.ReLU() | keras.layers.LeakyReLU() | keras.layers.Softmax():
            kind = activation_of(layer)
            if kind in FINAL and node.last:
                return (keras.layers.Activation(kind, name=layer.name),)
            if kind == "leaky_relu":
                slope = keras.layers.LeakyReLU(negative_slope=float(layer.negative_slope), name=f"{layer.name}_slope")
                return slope, _active(layer.name, "linear", own, ranges.of(node))
            return (_active(layer.name, kind, own, ranges.of(node)),)
        case keras.layers.PReLU():  # reads a rounded value: its product with a slope stays within float32
            return _slopes(layer, own), _active(layer.name, "linear", own, ranges.of(node))
        case _ if isinstance(layer, AVERAGES):
            values = ranges.of(node)
            kind = "relu" if float(values.min()) >= 0 else "linear"
            return _again(layer), _active(f"{layer.name}_round", kind, own, values)
        case _ if isinstance(layer, UNCHANGED):
            return (_again(layer),)
        case _:
            raise UnsupportedLayer(f"layer {layer.name!r}: a {type(layer).__name__} has no quantized form in fpgaml")


def _weighted(layer: Layer, own: LayerQuantization, values: Folded) -> Layer:
    """Return the QKeras layer for a dense or convolution layer, without its activation."""
    what = f"quantization of layer {layer.name!r}"
    kernel = _weight_quantizer(own.kernel, own.weight_bits, own.weight_integer, values.kernel, f"{what}, kernel")
    bias = None
    if values.bias is not None:
        bias = _weight_quantizer(own.bias, own.bias_bits, own.bias_integer, values.bias, f"{what}, bias")
    kept = ("units", "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "depth_multiplier")
    options = {key: value for key, value in layer.get_config().items() if key in kept}
    options |= {"name": layer.name, "use_bias": values.bias is not None, "bias_quantizer": bias}
    match layer:
        case keras.layers.Dense():
            return qkeras.QDense(kernel_quantizer=kernel, kernel_initializer="zeros", **options)
        case keras.layers.DepthwiseConv2D():
            options = {key: value for key, value in options.items() if key not in ("filters", "groups")}
            return qkeras.QDepthwiseConv2D(depthwise_quantizer=kernel, depthwise_initializer="zeros", **options)
        case keras.layers.Conv2D():
            options.pop("groups", None)
            return qkeras.QConv2D(kernel_quantizer=kernel, kernel_initializer="zeros", **options)
        case _:
            options.pop("groups", None)
            return qkeras.QConv1D(kernel_quantizer=kernel, kernel_initializer="zeros", **options)


def _slopes(layer: Layer, own: LayerQuantization) -> Layer:
    """Return a PReLU whose slopes are those of the float `layer`, rounded as weights are, and stay so in training."""
    quantize = _weight_quantizer(None, own.weight_bits or SLOPE_BITS, "auto", layer.alpha, "slopes")
    kept = layer.get_config() | {"name": f"{layer.name}_slope", "trainable": False, "alpha_regularizer": None}
    made = keras.layers.PReLU.from_config(kept)
    made.build(layer.input.shape)
    made.set_weights([np.asarray(quantize(layer.alpha))])
    return made


def _weight_quantizer(named: str | None, bits: int | None, integer: Any, values: Array, what: str) -> Quantizer:
    if named:
        return quantizer(named, WEIGHT_QUANTIZERS, what)
    assert bits is not None
    found = best_integer(values, bits, signed=True) if integer == "auto" else integer
    return qkeras.quantized_bits(bits, found, alpha=1)


def _active(name: str, kind: str, own: LayerQuantization, values: Array) -> Layer:
    """Return the quantized activation layer for a float activation of `kind` that gave `values`."""
    what = f"quantization of layer {name!r}, activation"
    if own.activation:
        return qkeras.QActivation(quantizer(own.activation, ACTIVATION_QUANTIZERS, what), name=name)
    bits = own.activation_bits
    assert bits is not None
    match kind:
        case "relu":
            integer = own.activation_integer
            found = best_integer(values, bits, signed=False, low=0) if integer == "auto" else integer
            if not isinstance(found, int) or found < 0:
                raise ConfigError(f"{what}: integer bits of quantized_relu must be 0 or more, not {found}")
            return qkeras.QActivation(qkeras.quantized_relu(bits, found), name=name)
        case "linear":
            integer = own.activation_integer
            found = best_integer(values, bits, signed=True, low=0) if integer == "auto" else integer
            return qkeras.QActivation(qkeras.quantized_bits(bits, found, alpha=1), name=name)
        case "softmax" | "sigmoid":
            raise UnsupportedLayer(f"layer {name!r}: {kind} is supported at the end of the model only")
        case _:
            raise UnsupportedLayer(f"layer {name!r}: activation {kind!r} has no quantized form in fpgaml")


class _Ranges:
    """The float activations of some images at any layer."""

    def __init__(self, model: keras.Model, images: Array) -> None:
        self._model, self._images = model, images

    def of(self, node: Node) -> Array:
        return np.asarray(keras.Model(self._model.inputs[0], node.output)(self._images))


def _again(layer: Layer) -> Layer:
    """Return a fresh layer of the same settings."""
    return layer.__class__.from_config(layer.get_config())


def _is_activated(node: Node) -> bool:
    """Return whether only an activation (after batch normalization, if any) reads this layer."""
    if node.ahead and isinstance(node.ahead.layer, keras.layers.BatchNormalization):
        return _is_activated(node.ahead)
    kinds = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.Softmax)
    return bool(node.readers) and all(isinstance(reader.layer, kinds) for reader in node.readers)


def _owner(graph: Graph, node: Node, quantization: Quantization) -> str:
    """Return the name under which the card sets this layer: an activation `fc1_relu` belongs to `fc1`."""
    at: Node | None = node
    while at is not None:
        if at.name in quantization.layers:
            return at.name
        at = None if isinstance(at.layer, WEIGHTED) else graph.before(at)
    return node.name


def _check_names(graph: Graph, quantization: Quantization) -> None:
    names = list(graph.nodes)
    for name in quantization.layers:
        if name not in names:
            raise ConfigError(f"quantization.layers.{name}: the model has no layer {name!r}{nearest(name, names)}")
