"""Save and load Keras and QKeras models: ``.keras`` files, and ``.h5`` files of any version.

A file appears whole or not at all. Loading finds every QKeras class without the caller naming any, and never runs code
that a file brings along: a Lambda, or a class of a module other than Keras and QKeras, is refused before Keras sees it.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import qkeras
from qkeras.utils import _add_supported_quantized_objects

from fpgaml.errors import DataError, FormatError, UnsupportedLayer
from fpgaml.frontend import legacy
from fpgaml.frontend.findings import Code
from fpgaml.frontend.graph import flat
from fpgaml.whole import made_whole

CODE = ("Lambda", "__lambda__")
TRUSTED = ("keras", "qkeras", "builtins")  # modules whose classes a file may name
UNKNOWN = ("synchronized", "renorm", "renorm_clipping", "renorm_momentum")  # to QDenseBatchnorm, which writes them
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, IndexError, zipfile.BadZipFile)


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path`, which ends in ``.keras``; an old file is replaced only by a complete new one."""
    with made_whole(path) as part:
        model.save(part)


def load(path: Path, weights: Path | None = None) -> keras.Model:
    """Read a ``.keras`` or ``.h5`` model, float or QKeras, of Keras 2 or 3; models inside it are flattened.

    weights: the file of the weights, for a model that is only described (``.json``).

    Raises: DataError if there is no such file; FormatError if it is no Keras model; UnsupportedLayer if it brings
    Python code along.
    """
    for one in (path, weights):
        if one is not None and not one.exists():
            raise DataError(f"model file {one} does not exist")
    if why := no_model(path, weights):
        raise FormatError(f"{path} {why}")
    try:
        if path.suffix == ".json":
            assert weights is not None
            return _load_described(path, weights)
        found = _load_h5(path) if h5py.is_hdf5(path) else _load_keras(path)
        if weights is not None:
            found.load_weights(weights)
        return flat(found)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path} is not a Keras model that can be read: {reason}") from error


def no_model(path: Path, weights: Path | None = None) -> str:
    """Return what a file or folder is that is no Keras model, and what to do, as the rest of a sentence; else empty."""
    if path.is_dir():
        what = "a SavedModel of TensorFlow, which holds compiled functions" if is_saved_model(path) else "a folder"
        return f"is {what}; save the model as one file, model.save('model.keras'), and name that"
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the model itself; fetch it with git lfs pull"
    if path.suffix == ".onnx":
        return "is an ONNX model; fpgaml reads Keras models, .keras or .h5"
    if head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model, whose layers are fused and rounded; name the Keras model it was made from"
    if path.suffix in (".pt", ".pth"):
        return "is a PyTorch model; fpgaml reads Keras models, .keras or .h5"
    if path.suffix == ".json" and weights is None:
        return "describes a model without its weights; name their file with --weights"
    return ""


def is_saved_model(path: Path) -> bool:
    """Return whether a folder is a SavedModel of TensorFlow."""
    return any((path / name).is_file() for name in ("saved_model.pb", "keras_metadata.pb"))


def written_layers(path: Path) -> list[tuple[str, str, bool]]:
    """Return (name, class, whether it is Python code of the file's own) of each layer a model file lists.

    Only the description is parsed: nothing is loaded, nothing is run. Empty if the file is no Keras model.
    """
    try:
        config = json.loads(_description(path))["config"]
        entries = config.get("layers", []) if isinstance(config, dict) else config  # a class of one's own lists none
        return [(_name(entry), entry["class_name"], _own_code(entry)) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        return []


def _description(path: Path) -> str:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            return file.read("config.json").decode()
    with h5py.File(path, "r") as file:
        return str(file.attrs["model_config"])


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("config", {}).get("name") or entry.get("name") or "")


def _own_code(entry: dict[str, Any]) -> bool:
    """Return whether a layer is a Lambda, or of a class that neither Keras nor QKeras has."""
    kind, module = entry["class_name"], str(entry.get("module") or "")
    if kind in CODE:
        return True
    return bool(module) and module.split(".")[0] not in TRUSTED and kind != legacy.PRUNING


def _load_keras(path: Path) -> keras.Model:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        version = json.loads(archive.read("metadata.json"))["keras_version"]
        refuse_code(config)
        if legacy.is_old(version):
            with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
                return legacy.rebuild(config, legacy.Numbered(weights))
    with tempfile.TemporaryDirectory() as folder:
        if any([_take_unknown(one) for one in _objects(config)]):
            path = _with_config(path, config, Path(folder) / "model.keras")
        return keras.saving.load_model(path, custom_objects=_known(), compile=False, safe_mode=True)


def _load_h5(path: Path) -> keras.Model:
    with h5py.File(path, "r") as file:
        config = legacy.config_of(file)
        refuse_code(config)
        old = legacy.is_old(legacy.text_of(file.attrs.get("keras_version", "3")))
        if old or any(_take_unknown(one) for one in _objects(config)):
            return legacy.rebuild(config, legacy.Named(file["model_weights"]))
    if path.suffix not in (".h5", ".hdf5"):
        raise FormatError(f"{path} is an HDF5 file; rename it to {path.with_suffix('.h5').name}")
    return keras.saving.load_model(path, custom_objects=_known(), compile=False, safe_mode=True)


def _load_described(path: Path, weights: Path) -> keras.Model:
    """Return the model that a JSON file describes, with weights of another file."""
    config = json.loads(path.read_text(encoding="utf-8"))
    refuse_code(config)
    if legacy.is_old(str(config.get("keras_version", "3"))):
        with h5py.File(weights, "r") as file:
            group = file.get("model_weights", file)
            numbered = any(key in group for key in legacy.LAYERS)
            return legacy.rebuild(config, legacy.Numbered(group) if numbered else legacy.Named(group))
    found = keras.saving.deserialize_keras_object(config, custom_objects=_known(), safe_mode=True)
    found.load_weights(weights)
    return flat(found)


def _take_unknown(one: dict[str, Any]) -> bool:
    """Take out of a layer's settings what qkeras-v3 writes there and then refuses to read; return if there was any."""
    settings = one.get("config")
    if not one["class_name"].endswith("QDenseBatchnorm") or not isinstance(settings, dict):
        return False
    found = [key for key in UNKNOWN if key in settings]
    for key in found:
        del settings[key]
    return bool(found)


def _with_config(path: Path, config: Any, changed: Path) -> Path:
    """Write a ``.keras`` file with another configuration."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
    return changed


def _known() -> dict[str, Any]:
    found: dict[str, Any] = {}
    _add_supported_quantized_objects(found)
    return found


def refuse_code(config: Any) -> None:
    """Raise UnsupportedLayer if a model's configuration holds code, or names a class that is not Keras' or QKeras'."""
    for one in _objects(config):
        kind, settings = one["class_name"], one.get("config")
        name = settings.get("name", "") if isinstance(settings, dict) else ""
        if kind in CODE:
            raise UnsupportedLayer(
                f"layer {name!r} is a {kind.strip('_')}: it holds Python code, which fpgaml never runs; use a built-in "
                "layer",
                code=Code.PYTHON_CODE,
            )
        module = one.get("module")
        if not module and one.get("registered_name") and not _is_known(kind):  # of the script that saved it
            raise UnsupportedLayer(
                f"{kind} {name!r} is a class of neither Keras nor QKeras, whose Python code fpgaml never runs; build "
                "the model of layers instead, as a Sequential or functional model",
                code=Code.PYTHON_CODE,
            )
        if module and module.split(".")[0] not in TRUSTED and kind != legacy.PRUNING:
            raise UnsupportedLayer(
                f"{kind} {name!r} comes from the Python module {module!r}, which fpgaml never imports; use layers of "
                "Keras and QKeras",
                code=Code.PYTHON_CODE,
            )


def _is_known(kind: str) -> bool:
    """Return whether Keras or QKeras has a class of that name."""
    return kind in legacy.MODELS or any(hasattr(place, kind) for place in (keras.layers, qkeras))


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield everything in a configuration that has a class."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)
