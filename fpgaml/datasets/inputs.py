"""Values as a file has them become integer codes of one type: what the network, and later the board, sees.

uint8                        as they are: a pixel is code / 256, type ufixed<8,0>
other integers               codes of data.input_type; with data.input_scale the integers times the scale, rounded
real numbers (samples, n)    a table: normalized to data.bits bits (tables.py), or as they are on data.input_type
other real numbers           rounded to the grid of data.input_type, or normalized if data.normalize says how
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fpgaml.card.sections import Data, Normalize
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.scaled import scaled_codes, scaled_encoding
from fpgaml.datasets.tables import fit
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import PIXEL, Array, FixedPoint, Overflow, Rounding, smallest

IDENTITY = tuple(range(256))


@dataclass(frozen=True, eq=False)
class Inputs:
    """The parts of a data set as codes of `kind`, and how they became such."""

    parts: tuple[Array, ...]
    kind: FixedPoint
    encoding: Encoding


def coded(parts: Sequence[Array], data: Data, features: tuple[str, ...], where: str) -> Inputs:
    """Return all `parts` (samples, *shape) as codes; what has to be fitted is fitted to the first.

    Raises: DataError if values are no numbers, or their grid is neither plain nor stated; ConfigError.
    """
    for part in parts:
        if not np.issubdtype(part.dtype, np.number) or np.issubdtype(part.dtype, np.complexfloating):
            raise DataError(f"{where}: values must be numbers, not {part.dtype}")
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(part))[0]))
            raise DataError(f"{where}: values must be finite numbers, but sample {at[0]} has {part[at]} at {at[1:]}")
    encoding, kind = _encoding(parts, data, features, where)
    try:
        return Inputs(tuple(_coded(part, encoding, kind, where) for part in parts), kind, encoding)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _encoding(parts: Sequence[Array], data: Data, names: tuple[str, ...], where: str) -> tuple[Encoding, FixedPoint]:
    """Return how `parts` become codes, and of which type: plain, stated, or fitted to the first."""
    first = parts[0]
    shape = data.shape or tuple(first.shape[1:])
    if data.input_scale or data.input_type:
        kind = nearest_of(FixedPoint.parse(data.input_type) if data.input_type else PIXEL)
        return stated(first, shape, kind, data.input_scale, names), kind
    if first.dtype == np.uint8:
        return pixels(shape), PIXEL
    if first.dtype.kind == "f" and (first.ndim == 2 or data.normalize is not Normalize.FEATURE):
        held = np.concatenate(parts[1:]) if len(parts) > 1 else None
        try:
            encoding, kind = fit(data.normalize, data.bits, first, names, held=held)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        return replace(encoding, shape=shape), kind
    raise DataError(f"{where}: {_stated(first)}")


def _coded(part: Array, encoding: Encoding, kind: FixedPoint, where: str) -> Array:
    """Return the codes of raw rows in a small type; of pixels and codes the rows themselves."""
    if encoding.kind == "codes":
        _must_be_codes(part, kind, where)
    if encoding.kind == "codes" or encoding.pixels == IDENTITY:
        return part
    return encoding.codes(part).astype(np.uint8 if not kind.signed and kind.width <= 8 else np.int32)


def stated(
    values: Array, shape: tuple[int, ...], kind: FixedPoint, scale: str = "", names: tuple[str, ...] = ()
) -> Encoding:
    """Return how raw `values` become codes of a type: integers as they are, or times a scale; real numbers rounded.

    Raises: DataError for real numbers with a scale; ConfigError for a scale that is none, or cannot be exact.
    """
    if scale:
        scaled_codes(values[:0], scale, kind)  # refuses what is no integer
    if scale and values.dtype == np.uint8:
        return pixels(shape, kind, tuple(scaled_codes(np.arange(256), scale, kind).tolist()))
    if scale or not np.issubdtype(values.dtype, np.integer):
        return scaled_encoding(shape, scale or "1", kind, names)
    return given_codes(shape, kind)


def pixels(shape: tuple[int, ...], kind: FixedPoint = PIXEL, codes: tuple[int, ...] = IDENTITY) -> Encoding:
    """Return the encoding of uint8 images of `shape`: each pixel is its own code of `kind`, or that of a table."""
    return Encoding("pixels", shape, kind.low, kind.high, kind.fraction, pixels=codes)


def given_codes(shape: tuple[int, ...], kind: FixedPoint) -> Encoding:
    """Return the encoding of rows of `shape` that are codes of `kind` as they come."""
    return Encoding("codes", shape, kind.low, kind.high, kind.fraction)


def nearest_of(kind: FixedPoint) -> FixedPoint:
    """Return the same codes, to be reached by rounding to the nearest."""
    return replace(kind, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)


def _must_be_codes(values: Array, kind: FixedPoint, where: str) -> None:
    if not kind.holds(values):
        raise DataError(
            f"{where}: integers are codes, and {values.min()} to {values.max()} are none of {kind}, {kind.low} to "
            f"{kind.high}; state a wider data.input_type, or with data.input_scale what they are multiplied by"
        )


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
    return (
        f"{found}; state the grid that they are rounded to with data.input_type, e.g. '{kind}', or set data.normalize "
        "to 'standard' or 'sample'"
    )


def on_grid(values: Array) -> bool:
    """Return whether values are whole numbers, but for the rounding of float32."""
    return bool((np.abs(values - np.rint(values)) < 1e-3).all())


def shaped(codes: Array, shape: Sequence[int], where: str) -> Array:
    """Return codes (samples, *shape). Raises: ConfigError if they have another number of values."""
    if int(np.prod(shape)) != int(np.prod(codes.shape[1:])):
        raise ConfigError(
            f"data.shape must have the {int(np.prod(codes.shape[1:])):,} values of a sample of {where}, not "
            f"{' x '.join(map(str, shape))} = {int(np.prod(shape)):,}"
        )
    return codes.reshape(len(codes), *shape)
