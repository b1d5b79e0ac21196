"""Fixed-point types: the bits of ``ap_fixed<W, I, Q, O>`` as one frozen value.

A *code* is the stored integer; a *value* is ``code * 2**-fraction``. Work in codes, convert at the edges:

    >>> t = FixedPoint(6, 2, signed=False, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    >>> t.encode([0.5, 1.03125, 9.0])
    array([ 8, 16, 63])
    >>> t.decode([63])
    array([3.9375])

`integer` counts the sign bit, as in ``ap_fixed`` (QKeras' ``integer`` does not). With *s* the value in units
of the last place, the rounding modes are

    TRN          floor(s)                    RND           floor(s + 1/2)
    TRN_ZERO     truncate towards zero       RND_CONV      nearest, ties to even
    RND_MIN_INF  ceil(s - 1/2)               RND_INF       nearest, ties away from zero
                                             RND_ZERO      nearest, ties towards zero

Source: Vitis HLS User Guide (UG1399), "Overview of arbitrary precision fixed-point data types";
``ap_types/ap_fixed_base.h``. tests/ir/test_ap_fixed.py compiles that header and compares bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpgaml.errors import ConfigError, DataError, nearest

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Integers = NDArray[np.integer]  # codes, labels or raw values, of whatever width they come in
Array = NDArray[Any]  # of numbers of any kind
Numbers = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.uint64]

Mode = TypeVar("Mode", bound=StrEnum)

FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53  # every integer up to this is a number of that type
MAX_WIDTH = 63  # codes live in int64 and one bit is kept for the sign of unsigned values


class Rounding(StrEnum):
    """What happens to bits right of the last place (``ap_q_mode``)."""

    TRN = "TRN"
    TRN_ZERO = "TRN_ZERO"
    RND = "RND"
    RND_ZERO = "RND_ZERO"
    RND_INF = "RND_INF"
    RND_MIN_INF = "RND_MIN_INF"
    RND_CONV = "RND_CONV"


class Overflow(StrEnum):
    """What happens to values left of the first place (``ap_o_mode``)."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_ZERO = "SAT_ZERO"
    SAT_SYM = "SAT_SYM"


@dataclass(frozen=True)
class FixedPoint:
    """The type ``ap_fixed<width, integer, rounding, overflow>`` (``ap_ufixed`` if not `signed`)."""

    width: int
    integer: int
    signed: bool = True
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ConfigError(f"width of a fixed-point type must be 1 to {MAX_WIDTH} bits, not {self.width}")
        if abs(self.integer) > 1000:
            raise ConfigError(f"integer bits of a fixed-point type must be -1000 to 1000, not {self.integer}")
        if self.signed and self.width == 1 and self.overflow is Overflow.SAT_SYM:
            raise ConfigError("a signed type of 1 bit cannot be SAT_SYM: it would hold only 0; use 2 bits or SAT")

    @property
    def fraction(self) -> int:
        """Number of fraction bits; negative if the last place is above 1."""
        return self.width - self.integer

    @property
    def low(self) -> int:
        """Smallest code that a cast can return."""
        if not self.signed:
            return 0
        return -(1 << (self.width - 1)) + (self.overflow is Overflow.SAT_SYM)

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << (self.width - self.signed)) - 1

    @cached_property
    def step(self) -> float:
        """Value of the last place, ``2**-fraction``."""
        return float(2.0**-self.fraction)

    def encode(self, values: ArrayLike) -> Codes:
        """Return the codes of real `values` (any shape) after rounding and overflow.

        Exact for every float64 whose scaled value is below 2**63 in size; larger ones saturate to int64
        first, which is right for the saturating modes and refused for WRAP.

        Raises: DataError if a value is NaN, infinite, or too large to wrap exactly.
        """
        array = np.asarray(values, dtype=np.float64)
        if not np.isfinite(array).all():
            raise DataError(f"values for {self} must be finite, not NaN or infinite")
        exact = np.ldexp(array, self.fraction)
        lost = (exact == 0) & (array != 0)  # too small for a float64: to rounding, any small number of that sign
        scaled = _round(np.where(lost, np.copysign(0.25, array), exact), self.rounding)
        if self.overflow is Overflow.WRAP and bool((np.abs(scaled) >= 2.0**62).any()):
            raise DataError(f"values for {self} must be below 2**62 units of the last place to wrap exactly")
        word, largest = np.iinfo(np.int64), 2.0**63 - 2.0**10  # the largest float64 that an int64 holds
        codes = np.clip(scaled, word.min, largest).astype(np.int64)
        beyond = word.min if self.overflow is Overflow.SAT_ZERO else word.max  # no type has the lowest: it is outside
        return self._fit(np.where(scaled > largest, beyond, codes))

    def decode(self, codes: ArrayLike) -> Floats:
        """Return the real values of `codes` (any shape)."""
        return np.ldexp(np.asarray(codes).astype(np.float64), -self.fraction)

    def cast(self, codes: ArrayLike, fraction: int) -> Codes:
        """Return this type's codes for int64 `codes` that have `fraction` fraction bits.

        The integer arithmetic of ``ap_fixed`` assignment; no floating point, so no limit but int64.
        """
        array = np.asarray(codes, dtype=np.int64)
        drop = fraction - self.fraction
        if drop > 0:
            return self._fit(_round_shift(array, drop, self.rounding))
        if self.overflow is Overflow.WRAP:
            return self._fit(array << -drop)
        least, most = -(-self.low >> -drop), self.high >> -drop  # the codes that fit once they are shifted
        below, above = (0, 0) if self.overflow is Overflow.SAT_ZERO else (self.low, self.high)
        return np.where(array < least, below, np.where(array > most, above, np.clip(array, least, most) << -drop))

    def holds(self, codes: ArrayLike) -> bool:
        """Return whether each of `codes` is a code of this type."""
        array = np.asarray(codes)
        return array.size == 0 or bool(array.min() >= self.low and array.max() <= self.high)

    def _fit(self, codes: Codes) -> Codes:
        """Apply the overflow mode to integers."""
        match self.overflow:
            case Overflow.WRAP:
                wrapped = codes & np.int64((1 << self.width) - 1)
                if self.signed:
                    sign = np.int64(1 << (self.width - 1))
                    wrapped = (wrapped ^ sign) - sign
                return np.asarray(wrapped, dtype=np.int64)
            case Overflow.SAT_ZERO:
                inside = (codes >= self.low) & (codes <= self.high)
                return np.where(inside, codes, np.int64(0))
            case _:
                return np.clip(codes, self.low, self.high)

    @property
    def cpp(self) -> str:
        """The C++ name, e.g. ``ap_ufixed<8,2,AP_RND_CONV,AP_SAT,0>`` (modes left out where they are the defaults)."""
        modes = ""
        if (self.rounding, self.overflow) != (Rounding.TRN, Overflow.WRAP):
            modes = f",AP_{self.rounding},AP_{self.overflow},0"
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.integer}{modes}>"

    def __str__(self) -> str:
        modes = ""
        if (self.rounding, self.overflow) != (Rounding.TRN, Overflow.WRAP):
            modes = f",{self.rounding},{self.overflow}"
        return f"{'' if self.signed else 'u'}fixed<{self.width},{self.integer}{modes}>"

    @classmethod
    def parse(cls, text: str) -> FixedPoint:
        """Read ``ap_fixed<8,3,AP_RND,AP_SAT,0>``, ``ufixed<8,0>``, ``ap_int<4>`` or ``ap_uint<4>``.

        Raises: ConfigError if `text` is none of these.
        """
        found = re.fullmatch(r"\s*(?:ap_)?(u?)(fixed|int)\s*<([^<>]*)>\s*", text)
        if not found:
            raise ConfigError(f"{text!r} is not a fixed-point type; write e.g. fixed<16,6> or ufixed<8,2,RND_CONV,SAT>")
        unsigned, kind, inside = found.groups()
        parts = [part.strip() for part in inside.split(",")]
        numbers, modes = (parts[:1], parts[1:]) if kind == "int" else (parts[:2], parts[2:])
        if len(numbers) != (1 if kind == "int" else 2) or not all(re.fullmatch(r"-?\d+", n) for n in numbers):
            raise ConfigError(
                f"{text!r} must give {'its width' if kind == 'int' else 'width and integer bits'} as numbers"
            )
        if kind == "int" and modes:
            raise ConfigError(f"{text!r}: an integer type has no rounding or overflow mode")
        if len(modes) == 3 and modes[2] != "0":
            raise ConfigError(f"{text!r}: saturation bits other than 0 are not supported")
        if len(modes) > 3:
            raise ConfigError(f"{text!r} has too many parts")
        rounding = _mode(Rounding, modes[0], text) if modes else Rounding.TRN
        overflow = _mode(Overflow, modes[1], text) if len(modes) > 1 else Overflow.WRAP
        return cls(int(numbers[0]), int(numbers[-1]), not unsigned, rounding, overflow)


PIXEL = FixedPoint(8, 0, signed=False)  # how images enter: uint8 / 256, an exact grid


def smallest(low: int, high: int, fraction: int, *, signed: bool | None = None) -> FixedPoint:
    """Return the narrowest type with `fraction` fraction bits that holds every code from `low` to `high`."""
    signed = low < 0 if signed is None else signed
    width = max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + signed
    width = max(width, 2 if signed else 1)
    return FixedPoint(width, width - fraction, signed)


def grid(values: ArrayLike, *, limit: int = 62) -> tuple[Codes, int]:
    """Return `values` as integer codes and the fewest fraction bits that hold them exactly.

    Raises: DataError if the values are not finite or need more than `limit` bits.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise DataError("values must be finite, not NaN or infinite")
    nonzero = array[array != 0]
    if nonzero.size == 0:
        return np.zeros(array.shape, np.int64), 0
    mantissa, exponent = np.frexp(nonzero)
    odd = np.ldexp(mantissa, 53).astype(np.int64)  # exact: a float64 has 53 significant bits
    trailing = np.log2((odd & -odd).astype(np.float64)).astype(np.int64)
    fraction = int((53 - exponent - trailing).max())
    if int(exponent.max()) + fraction > limit:
        raise DataError(f"values need {int(exponent.max()) + fraction} bits to be exact, more than {limit}")
    return np.ldexp(array, fraction).astype(np.int64), fraction


def code_type(kind: FixedPoint) -> np.dtype[np.integer]:
    """Return the smallest numpy integer type that holds every code of `kind`."""
    return np.min_scalar_type(kind.low if kind.signed else kind.high)


def _mode(kind: type[Mode], text: str, whole: str) -> Mode:
    name = text.removeprefix("AP_").removeprefix("ap_").upper()
    if name not in kind.__members__:
        raise ConfigError(f"{whole!r}: unknown mode {text!r}{nearest(name, kind.__members__)}")
    return kind[name]


def _grows(rounding: Rounding, negative: NDArray[np.bool_], whole: Numbers, rest: Numbers, half: Any) -> Any:
    """Return whether a number's truncated size `whole` grows by one for what was cut off: all the modes differ in."""
    match rounding:
        case Rounding.TRN_ZERO:
            return False
        case Rounding.RND:
            return (rest > half) | ((rest == half) & ~negative)
        case Rounding.RND_MIN_INF:
            return (rest > half) | ((rest == half) & negative)
        case Rounding.RND_INF:
            return rest >= half
        case Rounding.RND_ZERO:
            return rest > half
        case _:  # RND_CONV; TRN has forms of its own
            return (rest > half) | ((rest == half) & (whole % 2 == 1))


def _round(scaled: Floats, rounding: Rounding) -> Floats:
    """Round real numbers to integers; exact, also where ``s + 1/2`` would not be representable."""
    if rounding in NUMPY:
        return np.asarray(NUMPY[rounding](scaled), dtype=np.float64)
    size = np.abs(scaled)
    whole = np.trunc(size)
    rest = size - whole  # exact: on the same grid of floating point
    return np.asarray(np.copysign(whole + _grows(rounding, scaled < 0, whole, rest, 0.5), scaled), dtype=np.float64)


NUMPY = {Rounding.TRN: np.floor, Rounding.TRN_ZERO: np.trunc, Rounding.RND_CONV: np.rint}  # the modes it has itself


def _round_shift(codes: Codes, drop: int, rounding: Rounding) -> Codes:
    """Return `codes` divided by ``2**drop`` (drop > 0) and rounded, in integers."""
    if rounding is Rounding.TRN:
        return codes >> min(drop, 63)
    negative = codes < 0
    size = np.abs(codes).view(np.uint64)  # right for the lowest code too, whose size no int64 holds
    half = np.uint64(1 << (drop - 1) if drop < 65 else (1 << 64) - 1)  # beyond the word: above every size
    rest = size & (half | (half - np.uint64(1)))
    whole = (size >> np.uint64(drop)).view(np.int64) if drop < 64 else np.zeros_like(codes)
    grown: Codes = whole + _grows(rounding, negative, whole, rest, half)
    return np.where(negative, -grown, grown)


# Rounding in place, fast: right where s + 1/2 is exact, so for codes that the floating-point type holds, shifted.
ROUND_IN_PLACE: dict[Rounding, Callable[[NDArray[Any]], Any]] = {
    Rounding.TRN: lambda y: np.floor(y, out=y),
    Rounding.TRN_ZERO: lambda y: np.trunc(y, out=y),
    Rounding.RND_CONV: lambda y: np.rint(y, out=y),
    Rounding.RND: lambda y: np.floor(np.add(y, y.dtype.type(0.5), out=y), out=y),
    Rounding.RND_MIN_INF: lambda y: np.ceil(np.subtract(y, y.dtype.type(0.5), out=y), out=y),
    Rounding.RND_INF: lambda y: np.copysign(np.floor(np.abs(y) + y.dtype.type(0.5)), y, out=y),
    Rounding.RND_ZERO: lambda y: np.copysign(np.ceil(np.abs(y) - y.dtype.type(0.5)), y, out=y),
}
