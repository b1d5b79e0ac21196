"""How many bits scales on no grid are rounded to: what is chosen, what is proved, and which cause is the true one."""

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.exact import emulate, reals
from fpgaml.exact.agreement import decoded
from fpgaml.exact.deviation import off_grid, reach
from fpgaml.frontend.inspection import keras_values
from fpgaml.frontend.read import read
from fpgaml.frontend.scale_bits import settle
from fpgaml.ir.accumulate import intervals
from fpgaml.ir.fixed import PIXEL, FixedPoint
from tests.networks import codes_for

L = keras.layers
WEIGHTS = {
    "kernel_quantizer": qkeras.quantized_bits(6, 0, alpha=1),
    "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
}


def made(*layers, shape=(8,), seed=0):
    model = keras.Sequential([keras.Input(shape), *layers])
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        positive = any(word in variable.name for word in ("variance", "gamma"))
        values = rng.uniform(0.3, 1.5, variable.shape) if positive else rng.normal(0, 0.4, variable.shape)
        variable.assign(values)
    return model


def hidden(bits=6):
    """Batch normalization with a cast behind it."""
    return made(
        qkeras.QDense(6, name="fc", **WEIGHTS),
        L.BatchNormalization(name="bn"),
        qkeras.QActivation(f"quantized_relu({bits},2)", name="act"),
        qkeras.QDense(3, name="end", **WEIGHTS),
    )


def settled(model, stated=None, images=500, kind=PIXEL):
    codes = np.random.default_rng(1).integers(kind.low, kind.high + 1, (images, *model.input_shape[1:]))
    return settle(model, name="n", input_type=kind, codes=codes, stated=stated), codes


def unlike(model, bits, codes):
    """How many values of all layers behind the batch normalization differ from Keras."""
    reading = read(model, name="n", bits=bits)
    ours = decoded(reading.network, emulate.trace(reading.network, codes))
    theirs = keras_values(model, {"act": "act", "end": "end"}, PIXEL.decode(codes))
    return sum(int((ours[name] != theirs[name]).sum()) for name in theirs)


def test_the_fewest_bits_for_which_nothing_differs_from_keras():
    model = hidden()
    found, codes = settled(model)
    assert (found.unlike, found.cause, found.values) == (0, "", 500 * 9)
    assert unlike(model, found.bits, codes) == 0
    fewer = [unlike(model, bits, codes) for bits in range(4, found.bits)]
    bound = [reach(one.network, one.real) for one in (read(model, name="n", bits=b) for b in range(4, found.bits))]
    assert all(count or steps >= 0.5 for count, steps in zip(fewer, bound, strict=True))
    kernel = found.reading.network["bn"].scale.type.width
    sums = 16  # bits of what fc gives
    assert found.text == (
        f"scales are rounded to {found.bits} bits, the fewest that do; observed: 0 of 4,500 values behind casts differ "
        f"from Keras on 500 images; proved for any input: before a cast values are off by at most {found.reach:.2g} "
        f"steps, below half a step; multipliers: 6 of {kernel} x {sums} bits"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": False},
        {"inverse_quantizer": "quantized_po2(8)", "gamma_quantizer": None, "variance_quantizer": None},
    ],
    ids=["defaults", "no scale", "inverse quantized"],
)
def test_quantized_batch_normalization_is_rounded_as_a_plain_one_is(settings):
    model = made(
        qkeras.QDense(6, name="fc", **WEIGHTS),
        qkeras.QBatchNormalization(name="bn", **settings),
        qkeras.QActivation("quantized_relu(6,2)", name="act"),
        qkeras.QDense(3, name="end", **WEIGHTS),
    )
    found, codes = settled(model)
    assert (found.unlike, found.cause, unlike(model, found.bits, codes)) == (0, "", 0)
    assert found.reading.apart["bn"].startswith(
        "quantized batch normalization in floating point is on no grid: its scale"
    )
    assert unlike(model, 5, codes) > 0


def test_too_few_bits_are_named_as_the_cause():
    found, codes = settled(hidden(), stated=6)
    assert found.cause == "rounded to a stated grid"
    assert found.unlike == found.by_rounding > 0
    assert found.by_float32 == 0
    assert found.unlike == unlike(hidden(), 6, codes)
    assert found.text.startswith(
        f"scales are rounded to 6 bits, as stated; observed: {found.unlike:,} of 4,500 values behind casts differ from "
        f"Keras on 500 images, 0 by float32, {found.unlike:,} by this rounding; "
    )


def test_float32_is_named_where_it_is_the_cause():
    """With an input of 24 bits, float32 rounds the sums, and no number of bits helps."""
    model = hidden(bits=16)
    found, _ = settled(model, kind=FixedPoint(24, 0, signed=False))
    assert found.by_float32 > 0
    assert "float32 limit" in found.cause


def test_without_a_cast_behind_it_the_rounding_is_the_cause():
    model = made(qkeras.QDense(6, name="fc", **WEIGHTS), L.BatchNormalization(name="bn"))
    found, _ = settled(model)
    assert (found.bits, found.reach, found.cause) == (16, None, "rounded to a stated grid")
    assert "16 bits, for no cast follows that would hide the rounding; " in found.text


def test_nothing_to_round():
    assert settled(made(qkeras.QDense(3, **WEIGHTS)))[0] is None


@pytest.mark.parametrize("bits", [5, 9, 16])
def test_no_value_before_a_cast_leaves_the_bound(bits):
    model = made(
        qkeras.QConv2D(3, 3, padding="same", name="c", **WEIGHTS),
        L.BatchNormalization(name="bn"),
        L.LeakyReLU(0.3, name="leaky"),
        L.AveragePooling2D(2, name="mean"),
        qkeras.QActivation("quantized_bits(7,2,alpha=1)", name="act"),
        shape=(6, 6, 2),
    )
    reading = read(model, name="n", bits=bits)
    network = reading.network
    codes = codes_for(network, 64)
    ours, real = decoded(network, emulate.trace(network, codes)), reals.values(network, reading.real, codes)
    off = np.abs(ours["mean"] - real["mean"]).max() / network["act"].type.step
    assert 0 < off <= reach(network, reading.real)
    assert off_grid(network, reading.real) == {"bn", "leaky", "mean"}


def test_real_numbers_are_the_codes_where_nothing_is_rounded():
    """With no real weights, float64 gives what the emulator does, in every kind of layer that a model has here."""
    from tests.exact.test_emulate import CASES

    for name, network in CASES.items():
        if any(interval.bits > 53 for interval in intervals(network).values()):
            continue  # more than float64 holds
        codes = codes_for(network, 7)
        ours, real = decoded(network, emulate.trace(network, codes)), reals.values(network, {}, codes)
        for layer in network.shapes:
            np.testing.assert_array_equal(real[layer], ours[layer], err_msg=f"{name}: {layer}")
