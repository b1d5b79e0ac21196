"""Rebuild a model that Keras 2 wrote (``.h5``, ``.keras``; QKeras 0.9 among others) with the layers of today.

    model = rebuild(config, Named(h5py.File(path)["model_weights"]))     an .h5 file: weights by name
    model = rebuild(config, Numbered(h5py.File(weights)))                a .keras file: weights by number

Keras 3 stumbles over such files: settings were renamed, quantizers were stored as text or by their class alone, and
QKeras 0.9 wrote some that have gone. What an inference needs is little: each layer's class, those of its settings that
the class still has, the graph, and the weights. That is what is taken. No code in the file is run.

Models inside the model are flattened, layers used twice stay one layer, and wrappers for pruning are taken off with
their masks applied, which the model notes (`NOTES`).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
import qkeras
from qkeras import quantizers

from fpgaml.errors import FormatError, UnsupportedLayer
from fpgaml.frontend.graph import NOTES
from fpgaml.ir.fixed import Floats

Config = dict[str, Any]
Tensors = list[Any]
Part = Callable[[Tensors], Tensors]  # a layer or a model, to be called on tensors

MODELS = ("Sequential", "Functional", "Model")
PRUNING = "PruneLowMagnitude"
UNUSED = ("_initializer", "_regularizer", "_constraint", "_range")  # endings of settings that matter in training only
RECURRENT = re.compile(r"GRU|LSTM|RNN|Bidirectional")
CAUSAL = ("kernel_size", "dilation_rate")  # which say how many zeros stand before the first value
LAYERS = ("_layer_checkpoint_dependencies", "layers")  # where a file of numbered weights keeps its layers
COUNTERS = ("iteration", "seed_generator_state")  # variables that no inference reads
OPERATORS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "nn.relu": "ReLU",
}  # TensorFlow's functions on tensors, where a layer does the same
WITH_NUMBER: dict[str, Callable[[float], tuple[float, float]]] = {
    "__operators__.add": lambda number: (1, number),
    "math.add": lambda number: (1, number),
    "math.subtract": lambda number: (1, -number),
    "math.multiply": lambda number: (number, 0),
    "math.truediv": lambda number: (1 / number, 0),
}  # the same on a tensor and a number: scale and offset


class Shelf(Protocol):
    """The weights of a model, or of one layer in it."""

    def parts(self, layers: list[Config]) -> list[Shelf]:
        """Return the shelf of each layer of a model."""

    def inner(self) -> Shelf:
        """Return the shelf of the layer in a wrapper."""

    def mask(self, shape: tuple[int, ...]) -> Floats | None:
        """Return the mask that a wrapper for pruning keeps of a kernel of that shape, if any."""

    def fill(self, layer: Any) -> None:
        """Give a layer its weights. Raises: FormatError if there are none, or of another shape."""


def is_old(version: str) -> bool:
    """Return whether a file of that Keras version was written by Keras 1 or 2."""
    return version.startswith(("1.", "2."))


def text_of(value: Any) -> str:
    """Return an attribute of an h5 file as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def config_of(file: Any) -> Config:
    """Return the model's configuration in an open h5 file. Raises: FormatError if it has none."""
    text = file.attrs.get("model_config")
    if text is None:
        raise FormatError(
            "the file has weights but no model_config: save the whole model, not its weights alone, or name the "
            ".json of the model, and this file as --weights"
        )
    found: Config = json.loads(text_of(text))
    return found


def rebuild(whole: Config, shelf: Shelf) -> keras.Model:
    """Return the model of a configuration that Keras 2 wrote, weights included.

    Raises: UnsupportedLayer for a layer class that is neither Keras' nor QKeras'; FormatError for missing weights.
    """
    build = _Rebuild()
    config = whole["config"]
    layers: list[Config] = config if isinstance(config, list) else config["layers"]
    if whole["class_name"] == "Sequential":
        inputs = [build.image(layers[0])]
    else:
        named = {_name(one): one for one in layers}
        inputs = [build.image(named[end[0]]) for end in _ends(config["input_layers"])]
    outputs = build.model(whole, shelf)(list(inputs))
    found = keras.Model(*(end[0] if len(end) == 1 else end for end in (inputs, outputs)))
    setattr(found, NOTES, tuple(build.notes))
    return found


@dataclass
class _Rebuild:
    """Makes layers and models, each name once."""

    names: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def name(self, wanted: str) -> str:
        """Return a name that no other layer has: models inside the model may have layers of the same names."""
        found, number = wanted, 2
        while found in self.names:
            found, number = f"{wanted}_{number}", number + 1
        self.names.add(found)
        return found

    def image(self, one: Config) -> Any:
        """Return the input tensor of a model, of its first layer's configuration."""
        config = one["config"]
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        if one["class_name"] in MODELS:
            inner = config if isinstance(config, list) else config["layers"]
            return self.image(inner[0])
        if shape is None:
            raise FormatError("the model has no input shape: it was saved before it was built")
        name = self.name(config["name"]) if one["class_name"] == "InputLayer" else None
        return keras.Input(tuple(shape[1:]), name=name)

    def part(self, one: Config, shelf: Shelf) -> Part:
        """Return a layer or a model inside the model."""
        if one["class_name"] in MODELS:
            self.notes.append(f"the model {_name(one)!r} in the model is flattened")
            return self.model(one, shelf)
        if one["class_name"] == "TFOpLambda":
            return self.operator(one)
        return self.layer(one, shelf)

    def model(self, whole: Config, shelf: Shelf) -> Part:
        """Return a model, flattened into the one that it is part of."""
        config = whole["config"]
        layers: list[Config] = config if isinstance(config, list) else config["layers"]
        real = [one for one in layers if one["class_name"] != "InputLayer"]
        parts = {_name(one): self.part(one, own) for one, own in zip(real, shelf.parts(real), strict=True)}
        if whole["class_name"] == "Sequential":
            return lambda tensors: _chain(list(parts.values()), tensors)
        return lambda tensors: _graph(config, layers, parts, tensors)

    def layer(self, one: Config, shelf: Shelf) -> Part:
        """Return a layer with its weights."""
        if _kind(one) == PRUNING:
            return self.pruned(one, shelf)
        one, before = self.without_causal(one)
        made, kind = self.made(one), _kind(one)

        def call(tensors: Tensors) -> Tensors:
            try:
                tensors = [before(tensor) for tensor in tensors] if before else tensors
                found = made(tensors[0] if len(tensors) == 1 else tensors)
            except (TypeError, ValueError) as error:
                raise UnsupportedLayer(
                    f"layer {_name(one)!r}: a {kind} of Keras 2 cannot be rebuilt with the layers of today; use other "
                    "layers"
                ) from error
            if not RECURRENT.search(kind):  # refused later, by name; their weights have other shapes today
                shelf.fill(made)
            return list(found) if isinstance(found, (list, tuple)) else [found]

        return call

    def without_causal(self, one: Config) -> tuple[Config, Any]:
        """Return a layer whose causal padding, which QKeras on Keras 3 cannot do, another layer does; else None."""
        config = one["config"]
        if config.get("padding") != "causal":
            return one, None
        (size, *_), (rate, *_) = ([config[key]] if isinstance(config[key], int) else config[key] for key in CAUSAL)
        name = self.name(f"{config['name']}_causal")
        before = keras.layers.ZeroPadding1D(((size - 1) * rate, 0), name=name)
        return {**one, "config": {**config, "padding": "valid"}}, before

    def pruned(self, one: Config, shelf: Shelf) -> Part:
        """Return the layer in a wrapper for pruning, its mask applied: the wrapper does the same at each call."""
        inside = one["config"]["layer"]
        made = self.made(inside)

        def call(tensors: Tensors) -> Tensors:
            found = made(tensors[0] if len(tensors) == 1 else tensors)
            shelf.inner().fill(made)
            for variable in made.weights:
                mask = shelf.mask(tuple(variable.shape)) if variable.name.endswith("kernel") else None
                if mask is not None:
                    variable.assign(np.asarray(variable) * mask)
            return [found]

        self.notes.append(f"layer {_name(inside)!r}: its wrapper for pruning is taken off, with its mask applied")
        return call

    def operator(self, one: Config) -> Part:
        """Return the layer that does what one of TensorFlow's functions does."""
        name, function = _name(one), one["config"]["function"]
        numbers = _numbers(one["inbound_nodes"][0])
        if len(numbers) == 1 and function in WITH_NUMBER:
            scale, offset = WITH_NUMBER[function](numbers[0])
            made = keras.layers.Rescaling(scale, offset, name=self.name(name))
        elif not numbers and function in OPERATORS:
            made = getattr(keras.layers, OPERATORS[function])(name=self.name(name))
        else:
            raise UnsupportedLayer(
                f"layer {name!r} is the TensorFlow function {function}, for which fpgaml has no layer; use a layer of "
                "Keras instead"
            )
        return lambda tensors: [made(tensors[0] if len(tensors) == 1 else tensors)]

    def made(self, one: Config) -> Any:
        """Return the layer of a configuration, without weights."""
        kind, config = _kind(one), one["config"]
        made = getattr(qkeras, kind, None) or getattr(keras.layers, kind, None)
        if not (inspect.isclass(made) and issubclass(made, keras.layers.Layer)):
            raise UnsupportedLayer(
                f"layer {config.get('name')!r}: {kind} is a class of neither Keras nor QKeras; fpgaml never runs "
                "custom code"
            )
        known = set(_settings(made))
        own = {
            key: self.value(value)
            for key, value in config.items()
            if key in known and key != "dtype" and not key.endswith(UNUSED)
        }
        if isinstance(own.get("axis"), list) and len(own["axis"]) == 1:
            own["axis"] = own["axis"][0]
        if own.get("activation") == "hard_sigmoid":
            own["activation"] = hard_sigmoid
        if kind == "LeakyReLU" and "alpha" in config:
            own["negative_slope"] = _number(config["alpha"])
        return made(**own | {"name": self.name(_name(one))})

    def value(self, value: Any) -> Any:
        """Return a setting: with a quantizer, a layer or a function made from its configuration."""
        if not (isinstance(value, dict) and "class_name" in value):
            return value
        kind, config = value["class_name"].split(">")[-1], value["config"]
        if kind == "function" and isinstance(config, str):
            return config
        layer = getattr(keras.layers, kind, None) or getattr(qkeras, kind, None)
        if inspect.isclass(layer) and issubclass(layer, keras.layers.Layer):
            return self.made(value)
        made = getattr(quantizers, kind, None)
        if not inspect.isclass(made):
            raise UnsupportedLayer(f"{value['class_name']} is no quantizer of QKeras; fpgaml never runs custom code")
        known = set(inspect.signature(made.__init__).parameters)
        return made(**{key: _number(item) for key, item in config.items() if key in known})


def _chain(parts: list[Part], tensors: Tensors) -> Tensors:
    for part in parts:
        tensors = part(tensors)
    return tensors


def _graph(config: Config, layers: list[Config], parts: dict[str, Part], tensors: Tensors) -> Tensors:
    """Call the parts of a functional model as its nodes say."""
    outputs: dict[tuple[str, int], Tensors] = {}
    for end, tensor in zip(_ends(config["input_layers"]), tensors, strict=True):
        outputs[end[0], 0] = [tensor]
    waiting = {
        (_name(one), at): _read_by(node) for one in layers for at, node in enumerate(one.get("inbound_nodes") or [])
    }
    first = _first_uses([ref for refs in waiting.values() for ref in refs] + _ends(config["output_layers"]))

    def found(ref: Any) -> Any:
        own = outputs.get((ref[0], ref[1] - first[ref[0]]))
        return None if own is None else own[ref[2]]

    while waiting:
        ready = [key for key, refs in waiting.items() if all(found(ref) is not None for ref in refs)]
        if not ready:
            raise FormatError(f"layer {next(iter(waiting))[0]!r} reads layers that the file does not have")
        for key in ready:
            outputs[key] = parts[key[0]]([found(ref) for ref in waiting.pop(key)])
    return [found(end) for end in _ends(config["output_layers"])]


def _read_by(node: Any) -> list[Any]:
    """Return the (layer, use, tensor) that a node reads, those among its keyword arguments too."""
    refs = []
    for one in _calls(node):
        settings = [value for value in _arguments(one) if isinstance(value, list) and len(value) == 3]
        refs += [one[:3], *(value for value in settings if isinstance(value[0], str))]
    return refs


def _numbers(node: Any) -> list[float]:
    """Return the numbers that a function of TensorFlow reads besides a tensor; two for a number in front of it."""
    values = [value for one in _calls(node) for value in _arguments(one)]
    found = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return found * 2 if any(one[0] == "_CONSTANT_VALUE" for one in _calls(node)) else found


def _calls(node: Any) -> list[Any]:
    return [node] if node and isinstance(node[0], str) else list(node)


def _arguments(call: Any) -> list[Any]:
    return list(call[3].values()) if len(call) > 3 and isinstance(call[3], dict) else []


def _first_uses(refs: list[Any]) -> dict[str, int]:
    """Return the number that each layer's first use has: 1 for a model in the model, which was called to be made."""
    first: dict[str, int] = {}
    for name, use, *_ in refs:
        first[name] = min(use, first.get(name, use))
    return first


def _ends(ends: Any) -> list[Any]:
    """Return the inputs or outputs of a model, which is one entry or a list of them."""
    return [ends] if ends and isinstance(ends[0], str) else list(ends)


def _name(one: Config) -> str:
    return str(one["config"].get("name") or one.get("name"))


def _kind(one: Config) -> str:
    return str(one["class_name"]).split(">")[-1]


def hard_sigmoid(x: Any) -> Any:
    """Return what Keras 2 called a hard sigmoid; that of Keras 3 has another slope."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _settings(kind: type) -> Iterator[str]:
    """Yield the names of a class' settings, its bases' included if it hands others on to them."""
    for one in kind.__mro__:
        if "__init__" in vars(one):
            found = inspect.signature(vars(one)["__init__"]).parameters
            yield from found
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in found.values()):
                return


def _number(value: Any) -> Any:
    """Return a setting, out of the wrapping that Keras 2 gave to numpy numbers."""
    if isinstance(value, dict) and "value" in value:
        return value["value"]
    return value


# --- weights ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """The weights in an h5 file: a group for each layer of the model, in it the weights by name."""

    group: Any
    layer: str = ""  # in the group, where it holds a model

    def parts(self, layers: list[Config]) -> list[Shelf]:
        """Return the group of each layer of the model; the same group again for layers of a model inside."""
        if "weight_names" in self.group.attrs:
            return [Named(self.group, _name(one)) for one in layers]
        return [Named(self.group.get(_name(one), {})) for one in layers]

    def inner(self) -> Shelf:
        """Return this: a wrapper's group has the weights of its layer too."""
        return self

    def mask(self, shape: tuple[int, ...]) -> Floats | None:
        """Return the weights called mask."""
        found = self._arrays().get("mask")
        return found if found is not None and found.shape == shape else None

    def fill(self, layer: Any) -> None:
        """Give a layer the weights of the same names."""
        wanted = [variable for variable in layer.weights if variable.name not in COUNTERS]
        arrays = self._arrays() if wanted else {}
        if wanted and not arrays:
            raise FormatError(f"the file has no weights of layer {layer.name!r}")
        for variable in wanted:
            _assign(layer, variable, arrays.get(variable.name))

    def _arrays(self) -> dict[str, Floats]:
        if not self.group:
            return {}
        names = [text_of(name) for name in self.group.attrs["weight_names"]]
        own = [name for name in names if not self.layer or self.layer in name.split("/")[:-1]]
        return {name.split("/")[-1].split(":")[0]: np.asarray(self.group[name]) for name in own}


@dataclass(frozen=True)
class Numbered:
    """The weights in a .keras file: a group for each layer by its class and number, in it the weights by number."""

    group: Any

    def parts(self, layers: list[Config]) -> list[Shelf]:
        """Return the group of each layer: the first of a class has no number, and some numbers are left out."""
        keys = [key for key in LAYERS if key in self.group]
        inside: Any = self.group[keys[0]] if keys else {}
        found: dict[str, list[str]] = {}
        for one in layers:
            kind = _snake(_kind(one))
            pattern = re.compile(rf"{kind}(?:_(\d+))?")
            matches = [match for match in map(pattern.fullmatch, inside) if match]
            found[kind] = [match[0] for match in sorted(matches, key=lambda match: int(match[1] or 0))]
        taken = {kind: iter(names) for kind, names in found.items()}
        shelves: list[Shelf] = []
        for one in layers:
            name = next(taken[_snake(_kind(one))], None)
            shelves.append(Numbered(inside[name] if name is not None else {}))
        return shelves

    def inner(self) -> Shelf:
        """Return the group of the layer in a wrapper."""
        return Numbered(self.group["layer"])

    def mask(self, shape: tuple[int, ...]) -> Floats | None:
        """Return the last weights of that shape: the first are the kernel once more."""
        found = [array for array in self._arrays() if array.shape == shape]
        return found[-1] if len(found) > 1 else None

    def fill(self, layer: Any) -> None:
        """Give a layer its own weights in order, and those of a layer inside it."""
        own = [v for v in (*layer._trainable_variables, *layer._non_trainable_variables) if v.name not in COUNTERS]
        arrays = [array for array in self._arrays() if array.ndim]
        for at, variable in enumerate(own):
            _assign(layer, variable, arrays[at] if at < len(arrays) else None)
        for name in ("layer", "batchnorm"):
            if name in self.group and hasattr(layer, name):
                Numbered(self.group[name]).fill(getattr(layer, name))

    def _arrays(self) -> list[Floats]:
        numbered = self.group.get("vars", {})
        return [np.asarray(numbered[key]) for key in sorted(numbered, key=int)]


def _assign(layer: Any, variable: Any, found: Floats | None) -> None:
    if found is None or found.shape != tuple(variable.shape):
        shape = "none" if found is None else f"one of shape {found.shape}"
        raise FormatError(
            f"layer {layer.name!r} needs a {variable.name} of shape {tuple(variable.shape)}; the file has {shape}"
        )
    variable.assign(found)


def _snake(kind: str) -> str:
    """Return a class' name as Keras writes it in files: ``QConv2DBatchnorm`` becomes ``q_conv2d_batchnorm``.

    Source: Keras 2.15, ``saving/saving_lib.py`` and ``generic_utils.to_snake_case``.
    """
    split = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", split).lower()
