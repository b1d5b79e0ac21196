"""QKeras' two common quantizers in four operations instead of sixteen, while training.

    with fused(model): model.fit(...)

At batch 50 quantizing the weights costs as much as the matrix products, for QKeras builds each quantizer from many
passes over the weights. Inside the block each ``quantized_bits`` (alpha 1) and ``quantized_relu`` of a model is
stood in for by the same function in fewer passes: the same values bit for bit (tests/training/test_fused.py), the same
straight-through gradient. Any other quantizer stays as it is. Afterwards the model has its own objects again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import qkeras
import tensorflow as tf

Tensor = Any  # a TensorFlow tensor; TensorFlow ships no types

PLACES = ("kernel_quantizer_internal", "depthwise_quantizer_internal", "bias_quantizer_internal", "activation")

# the layers that XLA is known to train faster
DENSE = (
    keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape, keras.layers.Dropout, keras.layers.Dense,
    keras.layers.Activation, keras.layers.BatchNormalization, qkeras.QDense, qkeras.QActivation,
)  # fmt: skip


@contextmanager
def fused(model: keras.Model) -> Iterator[None]:
    """Stand in for the quantizers of `model` inside the block."""
    swapped: list[tuple[Any, str, Any]] = []
    try:
        for layer, place, own in _places(model):
            quick = stand_in(own)
            if quick is not None:
                swapped.append((layer, place, own))
                setattr(layer, place, quick)
        yield
    finally:
        for layer, place, own in swapped:
            setattr(layer, place, own)


def compiles(model: keras.Model) -> bool:
    """Whether XLA can train `model`, and is known to be no slower at it: dense layers, every quantizer known.

    It merges the many passes of quantizers and Adam over the weights into few; the lecture network, 220,000 weights,
    trains 1.5 to 2 times as fast. Small convolutions become 2.5 to 4.6 times slower.
    """
    quantizers = [own for _, _, own in _places(model) if type(own).__module__.startswith("qkeras")]
    plain = all(type(layer) in DENSE for layer in model.layers)
    return plain and all(stand_in(one) is not None for one in quantizers)


def _places(model: keras.Model) -> list[tuple[Any, str, Any]]:
    """Return each layer, place and what is there, or None, where a quantizer may be."""
    return [(layer, place, getattr(layer, place, None)) for layer in model.layers for place in PLACES]


def stand_in(quantizer: Any) -> Callable[[Tensor], Tensor] | None:
    """Return a function equal to a QKeras quantizer, or None if there is none."""
    match quantizer:
        case qkeras.quantized_bits() if _is_plain(quantizer) and quantizer.bits > quantizer.keep_negative:
            return _bits(quantizer)
        case qkeras.quantized_relu() if _is_plain(quantizer) and _is_plain_relu(quantizer):
            return _relu(quantizer)
        case _:
            return None


def _is_plain(quantizer: Any) -> bool:
    whole = isinstance(quantizer.bits, int) and isinstance(quantizer.integer, int)
    one = getattr(quantizer, "alpha", 1) in (1, None) and not isinstance(getattr(quantizer, "alpha", 1), str)
    steady = not quantizer.use_stochastic_rounding and quantizer.qnoise_factor == 1.0 and quantizer.use_ste
    return bool(whole and one and steady)


def _is_plain_relu(quantizer: Any) -> bool:
    return bool(quantizer.negative_slope == 0 and not quantizer.use_sigmoid and quantizer.is_quantized_clip)


def _bits(quantizer: Any) -> Callable[[Tensor], Tensor]:
    """Round and saturate; the gradient passes unchanged."""
    unsigned = quantizer.bits - quantizer.keep_negative
    scale, step = 2.0 ** (unsigned - quantizer.integer), 2.0 ** (quantizer.integer - unsigned)
    low = float(quantizer.keep_negative) * (-(2.0**unsigned) + float(quantizer.symmetric))
    high = 2.0**unsigned - 1

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def quantize(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return tf.clip_by_value(tf.round(x * scale), low, high) * step, lambda upstream: upstream

    return lambda x: quantize(tf.convert_to_tensor(x))


def _relu(quantizer: Any) -> Callable[[Tensor], Tensor]:
    """Round and saturate from 0; the gradient passes where the value is above 0 and not saturated."""
    scale, step = 2.0 ** (quantizer.bits - quantizer.integer), 2.0 ** (quantizer.integer - quantizer.bits)
    high = 2.0**quantizer.bits - 1
    most = high * step

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def quantize(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        def passed(upstream: Tensor) -> Tensor:
            return tf.where((x > 0) & (x <= most), upstream, tf.zeros_like(upstream))

        return tf.clip_by_value(tf.round(x * scale), 0.0, high) * step, passed

    return lambda x: quantize(tf.convert_to_tensor(x))
