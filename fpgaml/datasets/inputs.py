"""Values as a file has them become integer codes of one type: what the network, and later the board, sees.

uint8                        as they are: a pixel is code / 256, type ufixed<8,0>
other integers               codes of data.input_type; with data.input_scale the integers times the scale, rounded
real numbers (samples, n)    a table: normalized to data.bits bits (tables.py), or as they are on data.input_type
other real numbers           rounded to the grid of data.input_type, which must be stated
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Data, Normalize
from fpgaml.datasets.scaled import scaled_codes
from fpgaml.datasets.tables import Preprocessing
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import PIXEL, FixedPoint, Overflow, Rounding, grid, smallest

Array = NDArray[Any]

MAX_INPUT_BITS = 16  # of a feature that is not normalized


@dataclass(frozen=True, eq=False)
class Inputs:
    """The parts of a data set as codes of `kind`; preprocessing is a table's."""

    parts: tuple[Array, ...]
    kind: FixedPoint
    preprocessing: Preprocessing | None = None


def coded(parts: Sequence[Array], data: Data, features: tuple[str, ...], where: str) -> Inputs:
    """Return all `parts` (samples, *shape) as codes; what has to be fitted is fitted to the first.

    Raises: DataError if values are no numbers, or their grid is neither plain nor stated; ConfigError.
    """
    first = parts[0]
    for part in parts:
        if not np.issubdtype(part.dtype, np.number) or np.issubdtype(part.dtype, np.complexfloating):
            raise DataError(f"{where}: values must be numbers, not {part.dtype}")
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(part))[0]))
            raise DataError(f"{where}: values must be finite numbers, but sample {at[0]} has {part[at]} at {at[1:]}")
    if data.input_scale:
        kind = nearest_of(FixedPoint.parse(data.input_type) if data.input_type else PIXEL)
        return Inputs(tuple(scaled_codes(part, data.input_scale, kind) for part in parts), kind)
    if data.input_type:
        kind = nearest_of(FixedPoint.parse(data.input_type))
        return Inputs(tuple(_of_type(part, kind, where) for part in parts), kind)
    if first.dtype == np.uint8:
        return Inputs(tuple(parts), PIXEL)
    if first.dtype.kind == "f" and first.ndim == 2:
        return _table(parts, data, features or tuple(f"x{n}" for n in range(first.shape[1])), where)
    raise DataError(f"{where}: {_stated(first)}")


def nearest_of(kind: FixedPoint) -> FixedPoint:
    """Return the same codes, to be reached by rounding to the nearest."""
    return replace(kind, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)


def _of_type(values: Array, kind: FixedPoint, where: str) -> Array:
    """Return integers as the codes they are, and real numbers as the nearest codes of `kind`."""
    if not np.issubdtype(values.dtype, np.integer):
        return kind.encode(values)
    if not kind.holds(values):
        raise DataError(
            f"{where}: integers are codes, and {values.min()} to {values.max()} are none of {kind}, {kind.low} to "
            f"{kind.high}; state a wider data.input_type, or with data.input_scale what they are multiplied by"
        )
    return values


def _stated(values: Array) -> str:
    """Say what must be stated about values whose grid nobody knows, with a type that fits them."""
    low, high = values.min(), values.max()
    found = f"values are {values.dtype} from {low:g} to {high:g} of shape {values.shape[1:]}"
    if values.dtype.kind in "iu":
        kind = smallest(int(low), int(high), 0)
        kind = replace(kind, integer=int(kind.signed))
        return f"{found}; state what their codes mean with data.input_type, e.g. '{kind}' for values below 1"
    if values.ndim > 2 and low >= 0 and high <= 1 and on_grid(values * 255):
        return f"{found}, pixels divided by 255, which are on no binary grid; store raw pixels as uint8"
    integer = max(0, int(np.ceil(np.log2(max(abs(float(low)), abs(float(high)), 1e-9) + 1e-12)))) + int(low < 0)
    kind = FixedPoint(8 + integer, integer, signed=bool(low < 0))
    return f"{found}; state the grid that they are rounded to with data.input_type, e.g. '{kind}'"


def on_grid(values: Array) -> bool:
    """Return whether values are whole numbers, but for the rounding of float32."""
    return bool((np.abs(values - np.rint(values)) < 1e-3).all())


def _table(parts: Sequence[Array], data: Data, features: tuple[str, ...], where: str) -> Inputs:
    """Return a table normalized as the card says, fitted to the first part."""
    steps = Preprocessing.fit(data.normalize, data.bits, features, parts[0])
    kind = FixedPoint(data.bits, 0, signed=False)
    if data.normalize is Normalize.NONE:
        codes, fraction = grid(np.concatenate(parts))
        kind = smallest(int(codes.min()), int(codes.max()), fraction)
        if kind.width > MAX_INPUT_BITS:
            raise DataError(
                f"{where}: values need {kind.width} bits to be exact, more than {MAX_INPUT_BITS}; set data.normalize "
                "to 'feature' or 'sample'"
            )
        steps = replace(steps, bits=kind.width, scale=(2.0**fraction,))
    small = np.uint8 if not kind.signed and kind.width <= 8 else np.int32
    return Inputs(tuple(steps.codes(part).astype(small) for part in parts), kind, steps)


def shaped(codes: Array, shape: Sequence[int], where: str) -> Array:
    """Return codes (samples, *shape). Raises: ConfigError if they have another number of values."""
    if int(np.prod(shape)) != int(np.prod(codes.shape[1:])):
        raise ConfigError(
            f"data.shape must have the {int(np.prod(codes.shape[1:])):,} values of a sample of {where}, not "
            f"{' x '.join(map(str, shape))} = {int(np.prod(shape)):,}"
        )
    return codes.reshape(len(codes), *shape)
