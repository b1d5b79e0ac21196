"""Tables: reading CSV, and bringing features of any range to the integer codes that hardware takes.

names, values, labels = read_csv(path, "label")
steps = Preprocessing.fit(Normalize.FEATURE, 8, names, values)
steps.codes(values)        integer codes; the same steps are recorded for whoever feeds the board
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Normalize
from fpgaml.errors import ConfigError, DataError, nearest
from fpgaml.ir.fixed import Floats, grid

Array = NDArray[Any]

LARGEST = 1e100  # number of a table: far from where differences and products overflow


@dataclass(frozen=True)
class Preprocessing:
    """How the features of a table became codes, so that a board can be fed in the same way.

    Of each feature: ``code = clip(rint((x - offset) * scale), 0, 2**bits - 1)``. By sample, offset and scale are the
    sample's own least value and ``(2**bits - 1) / range``. Not normalized, the codes are ``x * scale``, exact.
    """

    normalize: Normalize
    bits: int
    features: tuple[str, ...]
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def codes(self, values: Array) -> NDArray[np.int32]:
        """Return the codes of real `values` (samples, features). Raises: DataError if values are not on the grid."""
        array = np.asarray(values, np.float64)
        match self.normalize:
            case Normalize.NONE:
                scaled = array * self.scale[0]
                if (scaled != np.rint(scaled)).any():
                    raise DataError(f"values must be multiples of {1 / self.scale[0]:g}, the grid of the training set")
                return np.asarray(scaled, np.int32)
            case Normalize.FEATURE:
                scaled = (array - np.array(self.offset)) * np.array(self.scale)
            case Normalize.SAMPLE:
                low = array.min(axis=1, keepdims=True)
                scaled = (array - low) * _inverse(array.max(axis=1, keepdims=True) - low, self.bits)
        return np.asarray(np.clip(np.rint(scaled), 0, (1 << self.bits) - 1), np.int32)

    @classmethod
    def fit(cls, normalize: Normalize, bits: int, features: tuple[str, ...], values: Array) -> Preprocessing:
        """Return the preprocessing that brings training `values` (samples, features) to a grid of `bits` bits."""
        match normalize:
            case Normalize.NONE:
                _, fraction = grid(values)
                return cls(normalize, bits, features, scale=(2.0**fraction,))
            case Normalize.FEATURE:
                low = values.min(axis=0)
                scale = _inverse(values.max(axis=0) - low, bits)
                return cls(normalize, bits, features, tuple(map(float, low)), tuple(map(float, scale)))
            case Normalize.SAMPLE:
                return cls(normalize, bits, features)


def _inverse(span: Array, bits: int) -> Array:
    """Return codes a unit for features of range `span`; 0 for one that never changes."""
    most = (1 << bits) - 1
    return np.divide(most, span, out=np.zeros_like(span, np.float64), where=span > 0)


def read_csv(path: Path, label: str) -> tuple[tuple[str, ...], Floats, NDArray[np.int64]]:
    """Return the feature names, values (samples, features) and labels (samples,) of a CSV file.

    Raises: DataError naming row and column of what is no number; ConfigError if there is no column `label`.
    """
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{path} must have a row of column names and rows of numbers; it has {len(rows)} row(s)")
    names = [name.strip() for name in rows[0]]
    if label not in names:
        raise ConfigError(f"data.label: {path} has no column {label!r}{nearest(label, names)}")
    at = names.index(label)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(
            f"{path} must have columns of different names; {twice[0]!r} is there {names.count(twice[0])} times"
        )
    if len(names) < 2:
        raise DataError(f"{path} must have at least one column beside {label!r}")
    values = np.empty((len(rows) - 1, len(names) - 1))
    labels = np.empty(len(rows) - 1, np.int64)
    for number, row in enumerate(rows[1:]):
        where = f"{path}, row {number + 2}"
        if len(row) != len(names):
            raise DataError(f"{where} must have {len(names)} columns, not {len(row)}")
        numbers = [_number(text, f"{where}, column {name!r}") for name, text in zip(names, row, strict=True)]
        if numbers[at] != int(numbers[at]) or abs(numbers[at]) >= 2**31:
            raise DataError(f"{where}, column {label!r} must be a whole number, the class, not {row[at]!r}")
        labels[number] = int(numbers.pop(at))
        values[number] = numbers
    return tuple(name for name in names if name != label), values, labels


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"{where} must be a number, not {text!r}") from None
    if not math.isfinite(number):
        raise DataError(f"{where} must be a finite number, not {text!r}")
    if abs(number) > LARGEST:
        raise DataError(f"{where} must be a number of at most {LARGEST:g} in size, not {text!r}")
    return number
