"""From a raw row to the codes of a network's input: one record for training, for a board's driver and its C program.

    encoding.codes(rows)                                     rows (rows, *shape) as the data's file has them
    encoding.codes({"charge": [3.1], "rise_time": [7]})      a table's columns by name; their order does not matter

    codes                rows are codes already, or real values on the grid of the codes
    pixels               uint8: code = pixels[x]
    none                 code = x * scale, exact; what is off the grid or beyond its ends is refused
    scaled               code = clip(rint(x * numerator / denominator)), scale = (numerator, denominator)
    feature, standard    code = clip(rint((x - offset) * scale)), each value of a row with its own offset and scale
    sample               the same, with the row's least value as offset, and high / (largest - least) as scale

The arithmetic is that of float64, one rounding an operation, in the order that is written here; rint rounds ties to
even. So C on doubles gets the same codes bit for bit (project/templates/encode.h.in), and the tests hold it to that.

This file stands alone: it is copied as it is into board packages, and needs numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = 1e100  # number in a row, by size: far from where differences and products overflow
SMALLEST = 1e-100  # range of values; a smaller one counts as none, and gives the code of the least value
KINDS = ("codes", "pixels", "none", "scaled", "feature", "standard", "sample")


@dataclass(frozen=True)
class Encoding:
    """How a raw row of `shape` becomes codes from `low` to `high`, value = code * 2**-fraction.

    names: of the values of a row of a table, in order; empty if they have none. offset and scale: one each value; of
    kinds ``none`` and ``scaled`` only the latter, one or two for all. pixels: 256 codes.
    """

    kind: str
    shape: tuple[int, ...]
    low: int
    high: int
    fraction: int
    names: tuple[str, ...] = ()
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    pixels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = self.count
        each = count if self.kind in ("feature", "standard") else 0
        scales = {"none": 1, "scaled": 2}.get(self.kind, each)
        wanted = {
            "offset": (self.offset, each),
            "scale": (self.scale, scales),
            "pixels": (self.pixels, 256 if self.kind == "pixels" else 0),
            "names": (self.names, count if self.names else 0),
        }
        if self.kind not in KINDS:
            raise ValueError(f"kind of an encoding must be one of {', '.join(KINDS)}, not {self.kind!r}")
        for what, (found, number) in wanted.items():
            if len(found) != number:
                raise ValueError(f"{what} of encoding {self.kind!r} must be {number}, not {len(found)}")
        if self.pixels and not (self.low <= min(self.pixels) and max(self.pixels) <= self.high):
            raise ValueError(
                f"pixel codes must be {self.low} to {self.high}, not {min(self.pixels)} to {max(self.pixels)}"
            )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Encoding:
        """Return what `asdict` of an encoding made, from JSON where tuples are lists."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
        return cls(**fields)

    @property
    def count(self) -> int:
        """Values a row."""
        return prod(self.shape)

    def codes(self, rows: ArrayLike | Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Return the codes (rows, *shape) of raw rows, or of a table's columns by name.

        Raises: ValueError naming row and value of what cannot be encoded.
        """
        array = self._columns(rows) if isinstance(rows, Mapping) else np.asarray(rows)
        found = prod(array.shape[1:])
        if array.ndim < 1 or found != self.count:
            raise ValueError(f"a row must have {self.count} values, shape {self.shape}, not {found}")
        array = array.reshape(len(array), self.count)
        codes = np.asarray(getattr(self, f"_{self.kind}")(array), np.int64)
        return codes.reshape(len(array), *self.shape)

    def _columns(self, table: Mapping[str, ArrayLike]) -> NDArray[Any]:
        if not self.names:
            raise ValueError("rows must be an array: the values of these rows have no names")
        if missing := [name for name in self.names if name not in table]:
            raise ValueError(f"rows have no column {missing[0]!r}; they must have {', '.join(self.names)}")
        return np.stack([np.asarray(table[name], np.float64) for name in self.names], axis=1)

    # --- the kinds ---

    def _pixels(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype == np.uint8:
            return np.array(self.pixels, np.int64).take(array)
        if array.dtype.kind != "f":
            raise ValueError(f"images must be uint8 pixels, not {array.dtype}")
        return self._on_grid(array, 2.0**self.fraction, "; a pixel / 255 is on no grid: give uint8 pixels")

    def _codes(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype.kind == "f":
            return self._on_grid(array, 2.0**self.fraction)
        if array.dtype.kind not in "iu":
            raise ValueError(f"rows must be codes or real values, not {array.dtype}")
        if array.size and not (self.low <= array.min() and array.max() <= self.high):
            raise ValueError(f"codes must be {self.low} to {self.high}, not {array.min()} to {array.max()}")
        return array

    def _none(self, array: NDArray[Any]) -> NDArray[Any]:
        return self._on_grid(array, self.scale[0])

    def _scaled(self, array: NDArray[Any]) -> NDArray[Any]:
        return self._nearest(self._numbers(array) * self.scale[0] / self.scale[1])

    def _feature(self, array: NDArray[Any]) -> NDArray[Any]:
        return self._nearest((self._numbers(array) - np.array(self.offset)) * np.array(self.scale))

    _standard = _feature

    def _sample(self, array: NDArray[Any]) -> NDArray[Any]:
        values = self._numbers(array)
        least = values.min(axis=1, keepdims=True)
        return self._nearest((values - least) * codes_a_unit(self.high, values.max(axis=1, keepdims=True) - least))

    # --- what they share ---

    def _nearest(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(np.rint(scaled), self.low, self.high)

    def _on_grid(self, array: NDArray[Any], scale: float, hint: str = "") -> NDArray[np.float64]:
        scaled = self._numbers(array) * scale
        codes = self._nearest(scaled)
        if wrong := self._first(codes != scaled, array):
            ends = f"from {self.low / scale:g} to {self.high / scale:g}, the grid of the training set"
            raise ValueError(f"values must be multiples of {1 / scale:g} {ends}: {wrong}{hint}")
        return codes

    def _numbers(self, array: NDArray[Any]) -> NDArray[np.float64]:
        values = np.asarray(array, np.float64)
        if wrong := self._first(~(np.abs(values) <= LARGEST), values):
            raise ValueError(f"values must be finite and of at most {LARGEST:g} in size: {wrong}")
        return values

    def _first(self, wrong: NDArray[np.bool_], array: NDArray[Any]) -> str:
        """Say which row and value is the first that is wrong; nothing if none is."""
        if not wrong.any():
            return ""
        row, at = (int(n) for n in np.argwhere(wrong)[0])
        value = repr(self.names[at]) if self.names else f"value {at}"
        return f"row {row}, {value} is {float(array[row, at])!r}"


def codes_a_unit(high: float, span: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `high` / `span`; 0 where the range is none."""
    return np.divide(high, span, out=np.zeros_like(span), where=span >= SMALLEST)
