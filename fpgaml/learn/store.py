"""Save and load Keras and QKeras models as ``.keras`` files.

A file appears whole or not at all, and loading finds every QKeras class without the caller naming any.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

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
