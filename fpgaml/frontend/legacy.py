"""Rebuild a model that Keras 2 wrote (``.h5``; QKeras 0.9 among others) with the layers of today.

    model = rebuild(h5py.File(path))

Keras 3 stumbles over such files: settings were renamed, quantizers were stored as text or by their class alone, and
QKeras 0.9 wrote some that have gone. What an inference needs is little: each layer's class, those of its settings that
the class still has, the graph, and the weights by name. That is what is taken. No code in the file is run.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import qkeras
from qkeras import quantizers

from fpgaml.errors import FormatError, UnsupportedLayer

Config = dict[str, Any]

UNUSED = ("_initializer", "_regularizer", "_constraint", "_range")  # endings of settings that matter in training only
COUNTERS = ("iteration", "seed_generator_state")  # variables that no inference reads


def is_old(file: Any) -> bool:
    """Return whether an open h5 file was written by Keras 1 or 2."""
    return _text(file.attrs.get("keras_version", "3")).startswith(("1.", "2."))


def config_of(file: Any) -> Config:
    """Return the model's configuration in an open h5 file. Raises: FormatError if it has none."""
    text = file.attrs.get("model_config")
    if text is None:
        raise FormatError("the file has weights but no model_config: save the whole model, not its weights alone")
    found: Config = json.loads(_text(text))
    return found


def rebuild(file: Any) -> keras.Model:
    """Return the model of an open h5 file that `is_old`, weights included.

    Raises: UnsupportedLayer for a layer class that is neither Keras' nor QKeras'; FormatError for missing weights.
    """
    whole = config_of(file)
    config = whole["config"]
    layers: list[Config] = config if isinstance(config, list) else config["layers"]
    model = _sequential(layers) if whole["class_name"] == "Sequential" else _functional(config, layers)
    for layer in model.layers:
        _set_weights(layer, file["model_weights"])
    return model


def _sequential(layers: list[Config]) -> keras.Model:
    x = image = None
    for one in layers:
        if x is None:
            x = image = _image(one)
        if one["class_name"] != "InputLayer":
            x = _layer(one)(x)
    return keras.Model(image, x)


def _functional(config: Config, layers: list[Config]) -> keras.Model:
    outputs: dict[str, Any] = {}
    for one in layers:
        name = one.get("name", one["config"]["name"])
        if one["class_name"] == "InputLayer":
            outputs[name] = _image(one)
            continue
        nodes = one["inbound_nodes"]
        if len(nodes) != 1:
            raise UnsupportedLayer(f"layer {name!r} is used more than once; shared layers are not supported")
        sources = [outputs[source[0]] for source in nodes[0]]
        outputs[name] = _layer(one)(sources[0] if len(sources) == 1 else sources)
    ends = [[outputs[end[0]] for end in config[key]] for key in ("input_layers", "output_layers")]
    return keras.Model(*(end[0] if len(end) == 1 else end for end in ends))


def _image(one: Config) -> Any:
    config = one["config"]
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if shape is None:
        raise FormatError("the model has no input shape: it was saved before it was built")
    name = config["name"] if one["class_name"] == "InputLayer" else None
    return keras.Input(tuple(shape[1:]), name=name)


def _layer(one: Config) -> Any:
    """Return the layer of a configuration, without weights."""
    kind, config = one["class_name"].split(">")[-1], one["config"]
    made = getattr(qkeras, kind, None) or getattr(keras.layers, kind, None)
    if kind == "PruneLowMagnitude":
        raise UnsupportedLayer(
            f"layer {config.get('name')!r} is wrapped for pruning; call strip_pruning before saving the model"
        )
    if not (inspect.isclass(made) and issubclass(made, keras.layers.Layer)):
        raise UnsupportedLayer(
            f"layer {config.get('name')!r}: {kind} is a class of neither Keras nor QKeras; fpgaml never runs custom "
            "code"
        )
    known = set(_settings(made))
    own = {
        key: _value(value)
        for key, value in config.items()
        if key in known and key != "dtype" and not key.endswith(UNUSED)
    }
    if isinstance(own.get("axis"), list) and len(own["axis"]) == 1:
        own["axis"] = own["axis"][0]
    if kind == "LeakyReLU" and "alpha" in config:
        own["negative_slope"] = _number(config["alpha"])
    return made(**own | {"name": config["name"]})


def _settings(kind: type) -> Iterator[str]:
    """Yield the names of a class' settings, its bases' included."""
    for one in kind.__mro__:
        if "__init__" in vars(one):
            yield from inspect.signature(vars(one)["__init__"]).parameters


def _value(value: Any) -> Any:
    """Return a setting with a quantizer made from its configuration."""
    if not (isinstance(value, dict) and "class_name" in value):
        return value
    made = getattr(quantizers, value["class_name"].split(">")[-1], None)
    if not inspect.isclass(made):
        raise UnsupportedLayer(f"{value['class_name']} is no quantizer of QKeras; fpgaml never runs custom code")
    known = set(inspect.signature(made.__init__).parameters)
    return made(**{key: _number(item) for key, item in value["config"].items() if key in known})


def _number(value: Any) -> Any:
    """Return a setting, out of the wrapping that Keras 2 gave to numpy numbers."""
    if isinstance(value, dict) and "value" in value:
        return value["value"]
    return value


def _set_weights(layer: Any, group: Any) -> None:
    if layer.name not in group:
        if layer.weights:
            raise FormatError(f"the file has no weights of layer {layer.name!r}")
        return
    own = group[layer.name]
    arrays = {_text(n).split("/")[-1].split(":")[0]: np.asarray(own[_text(n)]) for n in own.attrs["weight_names"]}
    for variable in layer.weights:
        if variable.name in COUNTERS:
            continue
        found = arrays.get(variable.name)
        if found is None or found.shape != tuple(variable.shape):
            shape = "none" if found is None else f"one of shape {found.shape}"
            raise FormatError(
                f"layer {layer.name!r} needs a {variable.name} of shape {tuple(variable.shape)}; the file has {shape}"
            )
        variable.assign(found)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
