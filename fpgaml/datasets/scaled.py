"""Raw inputs as codes: what a scale such as 1/255 means when values must lie on a grid.

    codes = scaled_codes(images, "1/255", FixedPoint(8, 0, signed=False, rounding=RND, overflow=SAT))

``image / 255`` is on no binary grid: a network that was trained on it must be told where to round. The input type says
so. From the codes on everything is exact.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fpgaml.datasets.encoding import Encoding
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import Codes, FixedPoint

LARGEST = 1 << 31
MAX_SCALED_BITS = 20  # of a type, for its codes to be the same in float64
MAX_BITS = 31  # of one that needs no division: the C of a board has its codes in 32 bits


def parse_scale(text: str) -> Fraction:
    """Read a scale such as ``1/255``, ``0.00390625`` or ``1``. Raises: ConfigError unless it is a number above 0."""
    try:
        scale = Fraction(text.replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        scale = Fraction(0)
    if scale <= 0 or max(scale.numerator, scale.denominator) > LARGEST:
        raise ConfigError(f"input scale must be a number above 0 such as 1/255 or 0.5, not {text!r}")
    return scale


def scaled_codes(raw: NDArray[np.integer], scale: str | Fraction, kind: FixedPoint) -> Codes:
    """Return integers `raw` (any shape) times `scale` as codes of `kind`, rounded once, in integers.

    Raises: DataError if `raw` are no integers or too large; ConfigError for a scale that is none.
    """
    from fpgaml.exact.emulate import divide  # when codes are made, and not when a command starts

    if not np.issubdtype(raw.dtype, np.integer):
        raise DataError(f"raw inputs must be integers such as pixels, not {raw.dtype}; use encode() of the input type")
    factor = parse_scale(scale) if isinstance(scale, str) else scale
    if raw.size and int(np.abs(raw.astype(np.int64)).max()) * factor.numerator >= 1 << (62 - max(kind.fraction, 0)):
        raise DataError(f"raw inputs up to {np.abs(raw).max()} are too large for scale {factor} and type {kind}")
    return divide(raw.astype(np.int64) * factor.numerator, np.array(factor.denominator), 0, kind)


def scaled_encoding(
    shape: tuple[int, ...], scale: str | Fraction, kind: FixedPoint, names: tuple[str, ...] = ()
) -> Encoding:
    """Return the encoding of raw rows that `scaled_codes` brings to codes of `kind`; of real numbers with scale 1.

    In float64 it gives the same codes: where a product needs more than 53 bits, its quotient is beyond every code, and
    below, a quotient that is no tie is further from one than float64 rounds.
    Raises: ConfigError for a type of which that is not so.
    """
    factor = parse_scale(scale) if isinstance(scale, str) else scale
    steps = factor * Fraction(2) ** kind.fraction
    bits = MAX_BITS if steps.denominator == 1 else MAX_SCALED_BITS
    if kind.width > bits or steps.denominator > LARGEST or steps.numerator >= 1 << 52:
        raise ConfigError(
            f"inputs times {factor} as codes of {kind} are exact for a board only up to {bits} bits, a denominator of "
            f"{LARGEST} and a numerator of 2**52; choose a narrower type or a rounder scale"
        )
    parts = (float(steps.numerator), float(steps.denominator))
    return Encoding("scaled", shape, kind.low, kind.high, kind.fraction, names, scale=parts)
