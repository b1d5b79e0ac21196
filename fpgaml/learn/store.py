"""Save and load Keras and QKeras models as ``.keras`` files.

A file appears whole or not at all, and loading finds every QKeras class without the caller naming any.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
from qkeras.utils import _add_supported_quantized_objects

from fpgaml.errors import DataError, FormatError


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path`, which ends in ``.keras``; an old file is replaced only by a complete new one."""
    temporary = path.with_name(f".{path.stem}.part.keras")
    try:
        model.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> keras.Model:
    """Read a ``.keras`` or ``.h5`` model, float or QKeras.

    Raises: DataError if there is no such file; FormatError if it is no Keras model.
    """
    if not path.is_file():
        raise DataError(f"model file {path} does not exist")
    known: dict[str, object] = {}
    _add_supported_quantized_objects(known)
    try:
        return keras.saving.load_model(path, custom_objects=known, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path} is not a Keras model that can be read: {reason}") from error


def written_layers(path: Path) -> list[tuple[str, str, bool]]:
    """Return (name, class, whether it is Python code of the file's own) of each layer a model file lists.

    Only the description is parsed: nothing is loaded, nothing is run. Empty if the file is no Keras model.
    """
    try:
        text = _description(path)
        config = json.loads(text)["config"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return []
    entries = config["layers"] if isinstance(config, dict) else config
    return [(_name(entry), entry["class_name"], _own_code(entry)) for entry in entries]


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
    if kind == "Lambda":
        return True
    known: dict[str, object] = {}
    _add_supported_quantized_objects(known)
    ours = module.split(".")[0] in ("keras", "qkeras", "tensorflow")
    return not (ours or kind in known or (not module and hasattr(keras.layers, kind)))
