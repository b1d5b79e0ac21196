"""Keras models from the layers of a run card.

    build(card.model, dataset.shape, seed=0)  ->  a functional Keras model, untrained

Every activation becomes a layer of its own (``fc1`` then ``fc1_relu``), so that the float model, its QKeras twin and
the Network have layers of the same names, and each tensor can be compared. The input layer is called ``image``.
A model may also come from a Python function of the user's, ``module:function``, found beside the card.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from math import prod
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, assert_never

import keras

from fpgaml.card import layers as lc
from fpgaml.card.sections import Model, module_file
from fpgaml.card.untrained import input_name
from fpgaml.errors import ConfigError

Tensor = Any  # a Keras tensor; Keras ships no types


FIRST_SLOPE = keras.initializers.Constant(0.25)  # of a PReLU. Source: K. He et al., arXiv:1502.01852, section 2.1


def build(model: Model, shape: tuple[int, ...], *, seed: int = 0, folder: Path = Path()) -> keras.Model:
    """Return the untrained Keras model for images of `shape` (without the images axis).

    `seed` decides the initial weights: it sets the global seed of Keras, numpy and Python.

    Raises: ConfigError if a layer cannot take what the one before it gives, or the function cannot be loaded, or
    the model was made elsewhere.
    """
    model.must_be_made_here()
    keras.utils.set_random_seed(seed)
    if model.function:
        return _from_function(model.function, shape, folder)
    image = keras.Input(shape, name=input_name(shape))
    tensor: Tensor = image
    for layer in model.layers:
        try:
            tensor = _apply(layer, tensor)
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"layer {layer.name!r} ({layer.kind}) cannot take an input of shape {tuple(tensor.shape[1:])}: "
                f"{str(error).splitlines()[0]}"
            ) from error
    if len(tensor.shape) != 2:
        raise ConfigError(
            f"the last layer {model.layers[-1].name!r} must give one value a class, not shape "
            f"{tuple(tensor.shape[1:])}; put a flatten before it"
        )
    return _model(image, tensor)


def check_outputs(model: keras.Model, classes: int) -> None:
    """Raise ConfigError unless `model` has one output a class, or one output, not under softmax, for two classes."""
    outputs, last = int(model.output_shape[-1]), model.layers[-1]
    softmax = isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    if outputs == 1 and softmax:
        raise ConfigError(f"layer {last.name!r}: softmax of one output is always 1; use sigmoid, or two outputs")
    if outputs != classes and not (outputs == 1 and classes == 2):
        wanted = f"{classes} outputs" + (" or 1" if classes == 2 else "")
        raise ConfigError(f"the model must have {wanted} for the {classes} classes of the data, not {outputs}")


def functional(model: keras.Model) -> keras.Model:
    """Return a Sequential as a functional model of like layers and weights; any other model as it is."""
    if not isinstance(model, keras.Sequential):
        return model
    image = tensor = keras.Input(model.input_shape[1:], name=input_name(model.input_shape[1:]))
    for layer in model.layers:
        tensor = type(layer).from_config(layer.get_config())(tensor)
    made = keras.Model(image, tensor, name=model.name)
    made.set_weights(model.get_weights())
    return made


def _model(image: Tensor, tensor: Tensor) -> keras.Model:
    try:
        return keras.Model(image, tensor)
    except ValueError as error:
        raise ConfigError(f"the layers do not make a model: {error}") from error


def _apply(layer: lc.AnyLayer, tensor: Tensor) -> Tensor:
    """Return `tensor` after one layer of the card and its activation."""
    name = layer.name
    match layer:
        case lc.FlattenLayer():
            return keras.layers.Flatten(name=name)(tensor)
        case lc.ReshapeLayer():
            if prod(layer.shape) != prod(tensor.shape[1:]):
                raise ValueError(f"shape {layer.shape} must hold {prod(tensor.shape[1:])} values")
            return keras.layers.Reshape(layer.shape, name=name)(tensor)
        case lc.DropoutLayer():
            return keras.layers.Dropout(layer.rate, name=name)(tensor)
        case lc.BatchNormLayer():
            return keras.layers.BatchNormalization(name=name)(tensor)
        case lc.MaxPool1DLayer() | lc.MaxPool2DLayer() | lc.AveragePool1DLayer() | lc.AveragePool2DLayer():
            return _pool(layer)(tensor)
        case lc.UpSampling1DLayer():
            return keras.layers.UpSampling1D(layer.size, name=name)(tensor)
        case lc.UpSampling2DLayer():
            return keras.layers.UpSampling2D(layer.size, name=name)(tensor)
        case lc.ActivationLayer():
            return activation(layer, name, tensor)
        case lc.DenseLayer():
            made = keras.layers.Dense(layer.units, use_bias=layer.bias, name=name)
        case lc.Conv1DLayer() | lc.Conv2DLayer():
            kind = keras.layers.Conv1D if isinstance(layer, lc.Conv1DLayer) else keras.layers.Conv2D
            made = kind(layer.filters, layer.kernel, layer.strides, str(layer.padding), use_bias=layer.bias, name=name)
        case _:
            assert_never(layer)
    tensor = made(tensor)
    if layer.activation is lc.ActivationKind.LINEAR:
        return tensor
    return activation(layer, f"{name}_{layer.activation}", tensor)


def activation(layer: lc.Active, name: str, tensor: Tensor) -> Tensor:
    """Return `tensor` after the activation of a layer, as a Keras layer called `name`."""
    match layer.activation:
        case lc.ActivationKind.LEAKY_RELU:
            made = keras.layers.LeakyReLU(negative_slope=layer.negative_slope, name=name)
        case lc.ActivationKind.PRELU:  # a slope a channel
            shared = list(range(1, len(tensor.shape) - 1)) or None
            made = keras.layers.PReLU(alpha_initializer=FIRST_SLOPE, shared_axes=shared, name=name)
        case kind:
            made = keras.layers.Activation(str(kind), name=name)
    return made(tensor)


def _pool(layer: lc.PoolLayer) -> keras.layers.Layer:
    kinds = {
        lc.MaxPool1DLayer: keras.layers.MaxPooling1D,
        lc.MaxPool2DLayer: keras.layers.MaxPooling2D,
        lc.AveragePool1DLayer: keras.layers.AveragePooling1D,
        lc.AveragePool2DLayer: keras.layers.AveragePooling2D,
    }
    return kinds[type(layer)](layer.pool, strides=layer.strides, padding=str(layer.padding), name=layer.name)


def _from_function(function: str, shape: tuple[int, ...], folder: Path) -> keras.Model:
    """Call the user's function with the input shape."""
    module_name, _, name = function.partition(":")
    module = _module(module_name, folder)
    if not callable(made := getattr(module, name, None)):
        raise ConfigError(f"model.function: module {module_name!r} has no function {name!r}")
    try:
        model = made(shape)
    except Exception as error:
        lines = [at.lineno for at in extract_tb(error.__traceback__) if at.filename == module.__file__]
        where = f", line {lines[-1]} of {module.__file__}" if lines else ""
        raise ConfigError(f"model.function: {function}{where}: {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise ConfigError(f"model.function: {function} must return a Keras model, not {type(model).__name__}")
    if not model.built or model.input_shape[1:] != shape:
        raise ConfigError(f"model.function: {function} must return a built model for images of shape {shape}")
    return functional(model)


def _module(name: str, folder: Path) -> ModuleType:
    """Import a module by name: the file beside the card, else an installed one."""
    path = module_file(name, folder)
    try:
        if not path.is_file():
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and Keras' serialization look themselves up by module
        spec.loader.exec_module(module)
    except ImportError as error:
        raise ConfigError(
            f"model.function: cannot import module {name!r}, not beside the card either: {error}"
        ) from error
    except Exception as error:
        raise ConfigError(f"model.function: module {name!r}: {type(error).__name__}: {error}") from error
    return module
