"""What QKeras quantizers do, as types and tables of ours: the one place that knows their conventions.

    meaning(quantizer)             an activation quantizer as function, type and slope; None if no cast does it
    tabulate(quantizer, interval)  else: index type and table, from evaluating it on every code that can come
    quantized(quantizer, w)        the values a weight quantizer gives, evaluated by itself

QKeras' ``integer`` leaves out the sign bit, `FixedPoint.integer` counts it: the +1 is here and nowhere else.
QKeras rounds to nearest, ties to even, and saturates: RND_CONV with SAT, or SAT_SYM where ``symmetric`` is set.
What no cast does (signs, ternary, powers of two, sigmoids) is a function of one value with few results. It becomes a
`Table`: the quantizer itself is run on every code its input can take, and the coarsest index that tells all its
results apart is searched, so the table is as small as can be and equal by construction.

Source: qkeras-v3 1.2.1, ``quantizers.py``, the ``__call__`` of each class; tests/frontend/test_quantizers.py compares
every setting with QKeras itself on every code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qkeras import quantizers as theirs

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.frontend.findings import Code
from fpgaml.ir.accumulate import Interval
from fpgaml.ir.fixed import Codes, FixedPoint, Floats, Overflow, Rounding, smallest
from fpgaml.ir.network import Function, Weights

EVALUATED_BITS = 20  # a quantizer is run on at most 2**20 codes
INDEX_BITS = 16  # of a table: more would not fit a small FPGA
RESULT_BITS = 32  # of a table's entries


@dataclass(frozen=True)
class Meaning:
    """An activation quantizer: apply `function` with `slope`, cast to `type`.

    `clip` is a saturating cast of the input that must come first: QKeras clips the negative side of a leaky ReLU
    before its slope, which no single cast can do. Its fraction bits are those of the input.
    """

    function: Function
    type: FixedPoint
    slope: float = 0.0
    clip: int | None = None  # integer bits of the saturating cast before the slope, sign included


def meaning(quantizer: Any, where: str) -> Meaning | None:
    """Return what the QKeras activation `quantizer` of layer `where` does; None if no cast does it (`tabulate`).

    Raises: UnsupportedLayer for a quantizer or setting that has no exact meaning, with the reason.
    """
    name = type(quantizer).__name__
    if name in _REFUSED:
        raise UnsupportedLayer(f"layer {where!r}: activation quantizer {name} {_REFUSED[name]}")
    if name not in _MEANINGS:
        known = ", ".join(_MEANINGS)
        raise UnsupportedLayer(f"layer {where!r}: activation quantizer {name} is not supported; supported are {known}")
    if getattr(quantizer, "qnoise_factor", 1.0) != 1.0:
        raise UnsupportedLayer(f"layer {where!r}: {name} must have qnoise_factor 1, not {quantizer.qnoise_factor}")
    _refuse_scale(quantizer, where)
    return _MEANINGS[name](quantizer, where)


def tabulate(function: Callable[..., Any], x: Interval, where: str) -> tuple[FixedPoint, Weights]:
    """Return index type and table of `function` (of float32 arrays) for every code in `x`.

    Raises: UnsupportedLayer if there are too many codes or results, or it gives another result each time.
    """
    if x.bits > EVALUATED_BITS:
        sign = _sign_table(function, x)
        if sign:
            return sign
        raise UnsupportedLayer(
            f"layer {where!r}: its input has {x.bits} bits, too many to tabulate {_name_of(function)}; put a "
            f"QActivation of quantized_bits with at most {EVALUATED_BITS} bits before it",
            code=_trap_of(function),
        )
    codes = np.arange(x.low, x.high + 1)
    results = _evaluate(function, codes, x.fraction)
    if not np.array_equal(results, _evaluate(function, codes, x.fraction)):
        raise UnsupportedLayer(
            f"layer {where!r}: {_name_of(function)} gives random results at inference too", code=Code.STOCHASTIC
        )
    index = coarsest_index(codes, results, x.fraction)
    if index.width > INDEX_BITS:
        raise UnsupportedLayer(
            f"layer {where!r}: a table of {_name_of(function)} for its input needs {index.width} index bits, more than "
            f"{INDEX_BITS}; put a QActivation of quantized_bits with at most {INDEX_BITS} bits before it",
            code=_trap_of(function),
        )
    return index, _table(index, index.cast(codes, x.fraction), results, where, function)


def coarsest_index(codes: Codes, results: Floats, fraction: int) -> FixedPoint:
    """Return the narrowest saturating type whose codes tell apart all `results` of ascending `codes`."""
    same = results[1:] == results[:-1]
    whole = best = smallest(int(codes[0]), int(codes[-1]), fraction)
    width, signed = whole.width + 1, bool(codes[0] < 0)
    for rounding in (Rounding.TRN, Rounding.RND_CONV):
        for drop in range(whole.width - 1, -1, -1):
            kind = FixedPoint(width, width - fraction + drop, signed, rounding, Overflow.SAT)
            if _tells_apart(kind, codes, same, fraction):
                best = min(best, _saturated(kind, codes, same, fraction), key=lambda kind: kind.width)
                break
    return FixedPoint(best.width, best.integer, best.signed, best.rounding, Overflow.SAT)


def _saturated(kind: FixedPoint, codes: Codes, same: NDArray[np.bool_], fraction: int) -> FixedPoint:
    """Return `kind` with as few integer bits as still tell the results apart, those beyond saturating."""
    for width in range(1, kind.width):
        less = FixedPoint(width, width - kind.fraction, kind.signed, kind.rounding, Overflow.SAT)
        if _tells_apart(less, codes, same, fraction):
            return less
    return kind


def _tells_apart(kind: FixedPoint, codes: Codes, same: NDArray[np.bool_], fraction: int) -> bool:
    index = kind.cast(codes, fraction)
    return bool((same | (index[1:] != index[:-1])).all())


def _table(index: FixedPoint, at: Codes, results: Floats, where: str, function: Any) -> Weights:
    """Return the table (2**index.width,) with `results` where `at` points, and their neighbours' elsewhere."""
    known, first = np.unique(at, return_index=True)
    every = np.arange(index.low, index.high + 1)
    name, trap = _name_of(function), _trap_of(function)
    nearest = np.clip(np.searchsorted(known, every, side="right") - 1, 0, len(known) - 1)
    try:
        table = Weights.of(results[first[nearest]])
    except DataError as error:
        raise UnsupportedLayer(
            f"layer {where!r}: the results of {name} are on no common grid: {error}", code=trap
        ) from error
    if table.type.width > RESULT_BITS:
        raise UnsupportedLayer(
            f"layer {where!r}: the results of {name} need {table.type.width} bits to be exact, more than "
            f"{RESULT_BITS}; give it fewer bits or a smaller max_value",
            code=trap,
        )
    return table


def _sign_table(function: Callable[..., Any], x: Interval) -> tuple[FixedPoint, Weights] | None:
    """Return the table of a function that only looks at the sign, which needs no evaluation on every code."""
    bits = getattr(function, "bits", None)
    known = ("binary", "stochastic_binary", "quantized_bits", "quantized_linear")
    if _name_of(function) not in known or bits != 1 or not getattr(function, "keep_negative", True):
        return None
    index = FixedPoint(1, 1, True, Rounding.TRN, Overflow.SAT)
    return index, Weights.of(_evaluate(function, np.array([-1, 0]), 0))


def _evaluate(function: Callable[..., Any], codes: Codes, fraction: int) -> Floats:
    values = np.ldexp(codes.astype(np.float64), -fraction).astype(np.float32)
    return np.asarray(function(values.reshape(1, -1)), np.float64).reshape(-1)


def _trap_of(function: Any) -> str:
    """Return the code of the trap that a function is whose table cannot be made; empty if it is none."""
    if "po2" in _name_of(function):
        return Code.PO2_ACTIVATION
    return Code.USE_SIGMOID if getattr(function, "use_sigmoid", 0) else ""


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _bits(quantizer: Any, where: str) -> Meaning | None:
    signed, bits = bool(quantizer.keep_negative), int(quantizer.bits)
    if bits - signed < 1 or _number(quantizer.alpha) != 1.0:
        return None
    overflow = Overflow.SAT_SYM if quantizer.symmetric and signed else Overflow.SAT
    kind = FixedPoint(bits, int(quantizer.integer) + signed, signed, Rounding.RND_CONV, overflow)
    return Meaning(Function.LINEAR, kind)


def _linear(quantizer: Any, where: str) -> Meaning | None:
    signed, bits, scale = bool(quantizer.keep_negative), int(quantizer.bits), _number(quantizer.alpha)
    if bits - signed < 1 or scale <= 0 or not log2(scale).is_integer():
        return None
    overflow = Overflow.SAT_SYM if quantizer.symmetric and signed else Overflow.SAT
    integer = int(quantizer.integer) + signed + int(log2(scale))
    return Meaning(Function.LINEAR, FixedPoint(bits, integer, signed, Rounding.RND_CONV, overflow))


def _relu(quantizer: Any, where: str) -> Meaning | None:
    bits, integer, slope = int(quantizer.bits), int(quantizer.integer), float(quantizer.negative_slope)
    if not getattr(quantizer, "is_quantized_clip", True):
        raise UnsupportedLayer(
            f"layer {where!r}: quantized_relu with is_quantized_clip=False is lost when QKeras saves it; leave it True",
            code=Code.QUANTIZED_CLIP,
        )
    if quantizer.use_sigmoid:
        return None
    if slope == 0:
        return Meaning(Function.RELU, FixedPoint(bits, integer, False, Rounding.RND_CONV, Overflow.SAT))
    if bits < 2:
        return None
    kind = FixedPoint(bits, integer + 1, True, Rounding.RND_CONV, Overflow.SAT)
    return Meaning(Function.RELU, kind, slope, clip=integer + 1)


def _tanh(quantizer: Any, where: str) -> Meaning | None:
    """QKeras' tanh is by default ``clip(x, -1, 1)``, from its hard sigmoid: a cast."""
    bits = int(quantizer.bits)
    if quantizer.use_real_tanh or theirs._sigmoid is not theirs.hard_sigmoid or bits < 2:
        return None
    overflow = Overflow.SAT_SYM if quantizer.symmetric else Overflow.SAT
    return Meaning(Function.LINEAR, FixedPoint(bits, 1, True, Rounding.RND_CONV, overflow))


def _by_table(quantizer: Any, where: str) -> Meaning | None:
    return None


def _number(alpha: Any) -> float:
    return 1.0 if alpha is None else float(alpha)


def _refuse_scale(quantizer: Any, where: str) -> None:
    alpha = getattr(quantizer, "alpha", None)
    if isinstance(alpha, str) or (alpha is not None and np.ndim(alpha) > 0):
        raise UnsupportedLayer(
            f"layer {where!r}: an activation quantizer must have alpha 1, another number or None, not {alpha!r}: "
            "it would scale by the data it sees",
            code=Code.ALPHA_AUTO_PO2 if isinstance(alpha, str) and alpha == "auto_po2" else Code.ALPHA_AUTO,
        )


_MEANINGS: dict[str, Callable[[Any, str], Meaning | None]] = {
    "quantized_bits": _bits,
    "quantized_linear": _linear,
    "quantized_relu": _relu,
    "quantized_tanh": _tanh,
    "quantized_sigmoid": _by_table,
    "quantized_po2": _by_table,
    "quantized_relu_po2": _by_table,
    "quantized_hswish": _by_table,
    "binary": _by_table,
    "ternary": _by_table,
    "stochastic_binary": _by_table,
    "stochastic_ternary": _by_table,
}
_REFUSED = {
    "quantized_ulaw": "is on a logarithmic scale that no fixed-point type holds",
    "bernoulli": "draws its results at random, at inference too",
}


@dataclass(frozen=True)
class Rounded:
    """Values put on a stated grid because they were on none: their type and the largest change."""

    values: Floats
    type: FixedPoint
    change: float


def quantized(quantizer: Any, values: ArrayLike, where: str, scale_bits: int | None = None) -> Floats | Rounded:
    """Return what weight `quantizer` makes of `values`, evaluated by the quantizer itself, in float64.

    Scales of alpha "auto" are on no grid: with `scale_bits` the values are rounded to that many bits, else refused.

    Raises: UnsupportedLayer if the values have no quantizer or it has no exact meaning.
    """
    if quantizer is None:
        raise UnsupportedLayer(
            f"{where} has no quantizer: the model is in floating point there; quantize it in training, or use "
            "post-training quantization (fpgaml quantize MODEL --data ...)",
            code=Code.FLOAT_WEIGHTS,
        )
    name = type(quantizer).__name__
    if name == "quantized_ulaw":
        raise UnsupportedLayer(
            f"{where}: quantized_ulaw puts values on a logarithmic scale that no fixed-point type holds"
        )
    if name == "bernoulli":
        raise UnsupportedLayer(f"{where}: bernoulli draws its values at random, at inference too")
    if getattr(quantizer, "qnoise_factor", 1.0) != 1.0:
        raise UnsupportedLayer(f"{where}: {name} must have qnoise_factor 1, not {quantizer.qnoise_factor}")
    automatic = isinstance(getattr(quantizer, "alpha", None), str) and quantizer.alpha == "auto"
    if automatic and scale_bits is None:
        raise UnsupportedLayer(
            f"{where}: {name} has alpha='auto', a scale in floating point that is on no grid; train with "
            "alpha='auto_po2' or 1, or give scale_bits to round the scaled values to that many bits",
            code=Code.ALPHA_AUTO,
        )
    found = np.asarray(quantizer(np.asarray(values, np.float32)), np.float64)
    return rounded(found, scale_bits) if automatic and scale_bits else found


def rounded(values: Floats, bits: int) -> Rounded:
    """Return `values` rounded to `bits` bits (signed), the integer bits as the largest needs them."""
    top = float(np.abs(values).max(initial=0.0))
    integer = int(np.frexp(top)[1]) + 1 if top else 1
    kind = FixedPoint(bits, integer, True, Rounding.RND_CONV, Overflow.SAT)
    found = kind.decode(kind.encode(values))
    return Rounded(found, kind, float(np.abs(found - values).max(initial=0.0)))
