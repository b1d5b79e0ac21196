"""What QKeras quantizers do, as types of ours: the one place that knows their conventions.

    meaning(quantizer)          an activation quantizer as function, type and slope
    quantized(quantizer, w)     the values a weight quantizer gives, evaluated by itself

QKeras' ``integer`` leaves out the sign bit, `FixedPoint.integer` counts it: the +1 is here and nowhere else.
QKeras rounds to nearest, ties to even, and saturates: RND_CONV with SAT, or SAT_SYM where ``symmetric`` is set.

Source: qkeras-v3 1.2.1, ``quantizers.py``, the ``__call__`` of each class; tests/learn/test_quantizers.py compares
every setting with QKeras itself on every code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpgaml.errors import UnsupportedLayer
from fpgaml.fixed import FixedPoint, Floats, Overflow, Rounding
from fpgaml.network import Function


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


def meaning(quantizer: Any, where: str) -> Meaning:
    """Return what the QKeras activation `quantizer` of layer `where` does.

    Raises: UnsupportedLayer for a quantizer or setting that has no exact meaning, with the reason.
    """
    name = type(quantizer).__name__
    if name not in _MEANINGS:
        known = ", ".join(_MEANINGS)
        raise UnsupportedLayer(f"layer {where!r}: activation quantizer {name} is not supported; supported are {known}")
    if getattr(quantizer, "qnoise_factor", 1.0) != 1.0:
        raise UnsupportedLayer(f"layer {where!r}: {name} must have qnoise_factor 1, not {quantizer.qnoise_factor}")
    return _MEANINGS[name](quantizer, where)


def _bits(quantizer: Any, where: str) -> Meaning:
    _refuse_scale(quantizer, where)
    signed, bits = bool(quantizer.keep_negative), int(quantizer.bits)
    if bits - signed < 1:
        raise UnsupportedLayer(f"layer {where!r}: {quantizer} of one bit is a sign function; give it 2 bits or more")
    overflow = Overflow.SAT_SYM if quantizer.symmetric and signed else Overflow.SAT
    kind = FixedPoint(bits, int(quantizer.integer) + signed, signed, Rounding.RND_CONV, overflow)
    return Meaning(Function.LINEAR, kind)


def _relu(quantizer: Any, where: str) -> Meaning:
    bits, integer, slope = int(quantizer.bits), int(quantizer.integer), float(quantizer.negative_slope)
    if quantizer.use_sigmoid:
        raise UnsupportedLayer(
            f"layer {where!r}: {type(quantizer).__name__} has use_sigmoid set (its third argument, often taken for a "
            "sign flag); it squeezes the input through a sigmoid. Leave it 0"
        )
    if not getattr(quantizer, "is_quantized_clip", True):
        raise UnsupportedLayer(
            f"layer {where!r}: quantized_relu with is_quantized_clip=False is lost when QKeras saves it; leave it True"
        )
    if slope == 0:
        return Meaning(Function.RELU, FixedPoint(bits, integer, False, Rounding.RND_CONV, Overflow.SAT))
    kind = FixedPoint(bits, integer + 1, True, Rounding.RND_CONV, Overflow.SAT)
    return Meaning(Function.RELU, kind, slope, clip=integer + 1)


def _refuse_scale(quantizer: Any, where: str) -> None:
    alpha = quantizer.alpha
    if alpha is not None and (isinstance(alpha, str) or float(alpha) != 1.0):
        raise UnsupportedLayer(
            f"layer {where!r}: an activation quantizer must have alpha 1 or None, not {alpha!r}: it scales by data"
        )


_MEANINGS: dict[str, Callable[[Any, str], Meaning]] = {
    "quantized_bits": _bits,
    "quantized_relu": _relu,
}


def quantized(quantizer: Any, values: ArrayLike, where: str) -> Floats:
    """Return what weight `quantizer` makes of `values`, evaluated by the quantizer itself, in float64.

    Raises: UnsupportedLayer if the values have no quantizer or it has no exact meaning.
    """
    if quantizer is None:
        raise UnsupportedLayer(
            f"{where} has no quantizer: the model is in floating point there; quantize it in training, or use "
            "post-training quantization (fpgaml quantize MODEL --data ...)"
        )
    name = type(quantizer).__name__
    if name == "quantized_ulaw":
        raise UnsupportedLayer(
            f"{where}: quantized_ulaw puts values on a logarithmic scale that no fixed-point type holds"
        )
    if getattr(quantizer, "qnoise_factor", 1.0) != 1.0:
        raise UnsupportedLayer(f"{where}: {name} must have qnoise_factor 1, not {quantizer.qnoise_factor}")
    return np.asarray(quantizer(np.asarray(values, np.float32)), np.float64)
