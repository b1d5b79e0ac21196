"""Hunt for a network on which Keras, the emulator and the C simulation differ in one bit.

    python -m tests.hunt --seconds 600 --seed 1 --networks 300      (or: make hunt)

Each network is random: layers, quantizers, widths of 1 to 16 bits, shapes, weights, io type, strategy, reuse factors,
backend. Three executions of it must be equal without tolerance, in every layer:

    Keras      float32, where every accumulator stays within its 24 bits and sign; else exact rational arithmetic
               (tests/slow.py) in its stead, for then float32 itself is wrong
    emulator   integer codes
    C++        what hls4ml wrote, compiled by g++, traced

A network that fpgaml refuses counts as refused, under its reason. What differs is printed as a `Spec`, which can be
pasted into FOUND of tests/test_hunt.py. Compiling is nearly all the time: without optimization, with the headers of
the fixed-point types compiled once, two processes at a time. One in five is compiled as long simulations are, with
optimization and the leaner types (csim.lean_types).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fpgaml.backend import csim, hls4ml
from fpgaml.errors import ConfigError, ToolNotFound, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.ir.accumulate import intervals, tensor_types
from fpgaml.ir.fixed import FixedPoint
from fpgaml.ir.network import DepthwiseConv, Network
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy, reuse_factors
from fpgaml.target.toolchain import Backend
from tests import slow

PART = "xc7z020clg400-1"
IMAGES = 16
FLOAT32_BITS = 25  # 24 of the mantissa and the sign
WORKERS = 2


@dataclass(frozen=True)
class Spec:
    """A network to be: everything that decides it, as literals.

    layers: (kind, settings); "Branches" stands for its quantizers side by side, merged again. reuse: which of a
    layer's valid reuse factors, from 0 to 99 of 100.
    """

    shape: tuple[int, ...]
    layers: tuple[tuple[str, dict[str, object]], ...]
    input_type: str = "ufixed<8,0>"
    backend: str = "Vitis"
    io_type: str = "io_parallel"
    strategy: str = "latency"
    reuse: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a Spec: equal, refused with a reason, or different with where."""

    spec: Spec
    refused: str = ""
    wrong: tuple[str, ...] = ()
    keras_layers: int = 0
    csim_layers: int = 0
    kinds: tuple[str, ...] = field(default=())


# --- random networks -------------------------------------------------------------------------------------------------

ALPHAS = ("1", "1", "1", "None", "0.5", "'auto_po2'")


@st.composite
def weight_quantizers(draw):
    """A weight quantizer as QKeras text."""
    kind = draw(st.sampled_from(("bits",) * 6 + ("linear", "po2", "binary", "ternary")))
    bits, integer = draw(st.integers(1, 10)), draw(st.integers(-1, 3))
    alpha = draw(st.sampled_from(ALPHAS))
    match kind:
        case "bits":
            keep = draw(st.booleans() if alpha == "1" else st.just(True))
            symmetric = 1 if "auto" in alpha else draw(st.integers(0, 1))
            bits = max(bits, 2) if "auto" in alpha else bits
            return f"quantized_bits({bits},{integer},{symmetric},keep_negative={keep},alpha={alpha})"
        case "linear":
            return f"quantized_linear({bits},{integer},{draw(st.integers(0, 1))},alpha={alpha})"
        case "po2":
            return f"quantized_po2({draw(st.integers(2, 4))},{draw(st.sampled_from(('None', '1', '2')))})"
        case "binary":
            return f"binary(alpha={alpha})"
        case _:
            return f"ternary(alpha={alpha})"


@st.composite
def activation_quantizers(draw, cast_only=False):
    """An activation quantizer as QKeras text; `cast_only`: one that is a cast."""
    kinds = ("bits",) * 4 + ("relu",) * 4 + ("linear", "tanh")
    kind = draw(
        st.sampled_from(kinds if cast_only else (*kinds, "leaky", "sigmoid", "binary", "ternary", "po2", "real"))
    )
    bits, integer = draw(st.integers(2, 16)), draw(st.integers(-1, 5))
    symmetric, few = draw(st.integers(0, 1)), min(bits, 6)
    match kind:
        case "bits":
            return f"quantized_bits({bits},{integer},{symmetric},keep_negative={draw(st.booleans())},alpha=1)"
        case "linear":
            return f"quantized_linear({bits},{integer},{symmetric},alpha={draw(st.sampled_from(('None', '0.5')))})"
        case "relu":
            return f"quantized_relu({draw(st.integers(1, 16))},{max(integer, 0)})"  # QKeras fails below 0
        case "leaky":
            return f"quantized_relu({bits},{max(integer, 0)},negative_slope={draw(st.sampled_from((0.5, 0.125)))})"
        case "tanh":
            return f"quantized_tanh({bits},symmetric={symmetric})"
        case "sigmoid":
            return f"quantized_sigmoid({few},symmetric={symmetric})"
        case "binary":
            return draw(st.sampled_from(("binary()", "binary(use_01=True,alpha=1)", "quantized_bits(1,0,alpha=1)")))
        case "ternary":
            return f"ternary(threshold={draw(st.sampled_from(('None', '0.5', '1.2')))})"
        case "po2":
            return draw(st.sampled_from(("quantized_po2(4,2)", "quantized_relu_po2(3,2)", "quantized_relu_po2(3,4)")))
        case _:
            return draw(
                st.sampled_from(("quantized_tanh(5,use_real_tanh=True)", "quantized_sigmoid(5,use_real_sigmoid=True)"))
            )


def _out(size, window, stride, padding):
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


@st.composite
def windows(draw, spatial, pool=False):
    """Settings of a window that fits, and the spatial shape it leaves."""
    padding = draw(st.sampled_from(("valid", "same")))
    window = tuple(draw(st.integers(1, min(3, n))) for n in spatial)
    if pool:
        strides = draw(st.sampled_from((window, window, tuple(draw(st.integers(1, 2)) for _ in spatial))))
        padding = draw(st.sampled_from(("valid", "valid", padding)))
    else:
        strides = (draw(st.integers(1, 2)),) * len(spatial)
    left = tuple(_out(n, k, s, padding) for n, k, s in zip(spatial, window, strides, strict=True))
    return {"padding": padding, "strides": strides}, window, left


# Distributed arithmetic is rare: its solver takes 10 s for the smallest network, and minutes for others.
STRATEGIES = ("latency",) * 30 + ("resource",) * 15 + ("resource_unrolled",) * 14 + ("distributed_arithmetic",)


@st.composite
def specs(draw):
    """A whole Spec."""
    rank = draw(st.sampled_from((1, 1, 2, 3, 3)))
    shape = (*(draw(st.integers(2, 6)) for _ in range(rank - 1)), draw(st.integers(1, 4 if rank > 1 else 12)))
    first, layers = shape, []
    for _ in range(draw(st.integers(1, 5))):
        shape = _draw_layer(draw, shape, layers)
    if len(shape) > 1 and draw(st.booleans()):
        layers.append(("Flatten", {}))
        shape = (int(np.prod(shape)),)
    if draw(st.booleans()):
        layers.append(("QDense", {"units": draw(st.integers(1, 5)), **_weights(draw)}))
    signed = draw(st.booleans())
    width = draw(st.integers(1 + signed, 10))
    kind = FixedPoint(width, draw(st.integers(0, 3)) + signed, signed)
    strategy = draw(st.sampled_from(STRATEGIES))
    return Spec(
        first,
        tuple(layers),
        str(kind),
        str(draw(st.sampled_from(list(Backend)))),
        str(draw(st.sampled_from(list(IoType)))),
        str(strategy),
        draw(st.integers(0, 99)) if strategy != "distributed_arithmetic" else 0,
        draw(st.integers(0, 10_000)),
    )


def _weights(draw, kernel="kernel_quantizer"):
    bias = draw(st.booleans())
    found = {kernel: draw(weight_quantizers()), "use_bias": bias}
    if bias:
        found["bias_quantizer"] = f"quantized_bits({draw(st.integers(2, 8))},{draw(st.integers(0, 2))},alpha=1)"
    if draw(st.integers(0, 4)) == 0:
        found["activation"] = draw(activation_quantizers())
    return found


def _draw_layer(draw, shape, layers):
    """Append one layer, or a mean and the quantizer it needs; return the shape behind it."""
    *spatial, channels = shape
    rank = len(spatial)
    known = "QDense QActivation QActivation Branches ReLU LeakyReLU PReLU BatchNormalization QDenseBatchnorm".split()
    if rank:
        known = "QDense QActivation Branches LeakyReLU PReLU BatchNormalization Conv Conv Conv Separable".split()
        known += "MaxPooling AveragePooling GlobalMaxPooling GlobalAveragePooling ZeroPadding UpSampling".split()
        known += ["Flatten", "Reshape"]
    if rank == 2:
        known += ["QDepthwiseConv2D", "QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm", "QAveragePooling2D"]
    kind = draw(st.sampled_from(known))
    match kind:
        case "QDense" | "QDenseBatchnorm":
            if kind == "QDenseBatchnorm" and rank:
                kind = "QDense"
            units = draw(st.integers(1, 6))
            layers.append((kind, {"units": units, **_weights(draw)}))
            return (*spatial, units)
        case "QActivation":
            layers.append((kind, {"activation": draw(activation_quantizers())}))
        case "Branches":
            count = draw(st.integers(2, 3))
            merge = draw(st.sampled_from(("Add", "Multiply", "Concatenate")))
            layers.append((kind, {"merge": merge, "quantizers": [draw(activation_quantizers()) for _ in range(count)]}))
            return (*spatial, channels * count) if merge == "Concatenate" else shape
        case "ReLU" | "BatchNormalization":
            layers.append((kind, {}))
        case "LeakyReLU":
            layers.append((kind, {"negative_slope": draw(st.sampled_from((0.25, 0.375)))}))
        case "PReLU":
            layers.append((kind, {"shared_axes": draw(st.sampled_from(([], list(range(1, rank + 1)))))}))
        case "Conv" | "QConv2DBatchnorm":
            where, window, left = draw(windows(spatial))
            filters = draw(st.integers(1, 4))
            kind = f"QConv{rank}D" if kind == "Conv" else kind
            layers.append((kind, {"filters": filters, "kernel_size": window, **where, **_weights(draw)}))
            return (*left, filters)
        case "Separable":
            where, window, left = draw(windows(spatial))
            filters = draw(st.integers(1, 3))
            both = _weights(draw, "depthwise_quantizer") | {"pointwise_quantizer": draw(weight_quantizers())}
            layers.append((f"QSeparableConv{rank}D", {"filters": filters, "kernel_size": window, **where, **both}))
            return (*left, filters)
        case "QDepthwiseConv2D" | "QDepthwiseConv2DBatchnorm":
            where, window, left = draw(windows(spatial))
            layers.append((kind, {"kernel_size": window, **where, **_weights(draw, "depthwise_quantizer")}))
            return (*left, channels)
        case "MaxPooling":
            where, window, left = draw(windows(spatial, pool=True))
            layers.append((f"MaxPooling{rank}D", {"pool_size": window, **where}))
            return (*left, channels)
        case "AveragePooling" | "QAveragePooling2D":
            where, window, left = draw(windows(spatial, pool=True))
            kind = f"AveragePooling{rank}D" if kind == "AveragePooling" else kind
            own = {"pool_size": window, **where}
            if kind == "QAveragePooling2D" and where["padding"] == "valid":
                own["average_quantizer"] = f"quantized_bits({draw(st.integers(4, 8))},0,alpha=1)"
            layers.append((kind, own))
            layers.append(("QActivation", {"activation": draw(activation_quantizers(cast_only=True))}))
            return (*left, channels)
        case "GlobalMaxPooling" | "GlobalAveragePooling":
            layers.append((f"{kind}{rank}D", {}))
            if kind == "GlobalAveragePooling":
                layers.append(("QActivation", {"activation": draw(activation_quantizers(cast_only=True))}))
            return (channels,)
        case "ZeroPadding":
            sides = tuple((draw(st.integers(0, 1)), draw(st.integers(0, 2))) for _ in spatial)
            layers.append((f"ZeroPadding{rank}D", {"padding": sides if rank == 2 else sides[0]}))
            return (*(n + a + b for n, (a, b) in zip(spatial, sides, strict=True)), channels)
        case "UpSampling":
            factors = tuple(draw(st.integers(1, 3)) for _ in spatial)
            layers.append((f"UpSampling{rank}D", {"size": factors if rank == 2 else factors[0]}))
            return (*(n * factor for n, factor in zip(spatial, factors, strict=True)), channels)
        case "Flatten":
            layers.append((kind, {}))
            return (int(np.prod(shape)),)
        case "Reshape":
            turned = (*reversed(spatial), channels)
            layers.append((kind, {"target_shape": turned}))
            return turned
    return shape


# --- one network -----------------------------------------------------------------------------------------------------


def keras_model(spec: Spec):
    """Return the Keras model of a Spec, with random weights."""
    import keras
    import qkeras

    rng = np.random.default_rng(spec.seed)
    x = image = keras.Input(spec.shape, name="image")
    for at, (kind, own) in enumerate(spec.layers):
        if kind == "Branches":
            parts = [qkeras.QActivation(q, name=f"l{at}_{n}")(x) for n, q in enumerate(own["quantizers"])]
            x = getattr(keras.layers, own["merge"])(name=f"l{at}")(parts)
        else:
            made = getattr(qkeras, kind, None) or getattr(keras.layers, kind)
            x = made(name=f"l{at}", **own)(x)
    model = keras.Model(image, x)
    spread = rng.choice([0.3, 0.6, 1.5])
    model.set_weights([_drawn_weights(v, rng, spread) for v in model.weights])
    return model


def _drawn_weights(variable, rng, spread):
    """Return random values for a Keras variable; slopes of a PReLU are on a grid, as nothing else quantizes them."""
    if variable.name == "moving_variance":
        return rng.uniform(0.3, 1.5, variable.shape)
    drawn = rng.normal(0, spread, variable.shape)
    return np.round(drawn * 16) / 16 if variable.name == "alpha" else drawn


def design_of(spec: Spec, network: Network) -> Design:
    """Return the Spec's Design with a valid reuse factor for each layer."""
    design = Design(Backend(spec.backend), PART, io_type=IoType(spec.io_type), strategy=Strategy(spec.strategy))
    by_channel = [layer.name for layer in network if isinstance(layer, DepthwiseConv)]  # latency only, as a rule
    design = replace(design, per_layer=tuple(LayerDesign(name, strategy=Strategy.LATENCY) for name in by_channel))
    factors = {}
    for layer in network:
        valid = reuse_factors(network, layer.name, design)
        factors[layer.name] = valid[spec.reuse * len(valid) // 100]
    return design.with_reuse(factors)


def image_codes(network: Network, number: int) -> np.ndarray:
    """Return random input codes; the first images are all lowest, all highest and all zero."""
    kind = network.input.type
    codes = np.random.default_rng(number).integers(kind.low, kind.high + 1, (IMAGES, *network.input.dims))
    codes[0], codes[1], codes[2] = kind.low, kind.high, 0
    return codes


def check(spec: Spec, folder: Path, options: tuple[str, ...] = (), optimize: str = "-O0") -> Outcome:
    """Run a Spec three ways, in `folder`, and return where they differ."""
    from fpgaml.frontend.graph import layer_outputs
    from fpgaml.frontend.read import read

    model = keras_model(spec)
    try:
        reading = read(model, name="net", input_type=FixedPoint.parse(spec.input_type))
        network = reading.network
        ranges = intervals(network)
        if len(network.layers) < 2:
            return Outcome(spec, refused="nothing but an input")
        design = design_of(spec, network)
        hls4ml.convert(network, design, folder / "hls", log=folder / "convert.log")
    except (UnsupportedLayer, ConfigError, ToolNotFound) as error:
        return Outcome(spec, refused=str(error))
    codes = image_codes(network, spec.seed)
    ours, types = emulate.trace(network, codes), tensor_types(network)
    wrong: list[str] = []
    float32_is_exact = max(i.bits for i in ranges.values()) <= FLOAT32_BITS
    compared = 0
    if float32_is_exact:
        values = network.input.type.decode(codes)
        for name, theirs in layer_outputs(model, reading.keras_names, values).items():
            compared += 1
            _compare(wrong, "Keras", name, types[name].decode(ours[name]), theirs.reshape(ours[name].shape))
    else:
        for name, theirs in slow.run(network, codes[3]).items():
            _compare(wrong, "rational", name, ours[name][3], theirs)
    program = csim.build(
        network, folder / "hls", log=folder / "g++.log", images=20 if optimize == "-O0" else 1000, options=options
    )
    out, traced = csim.simulate(program, codes, trace=True)
    _compare(wrong, "C++", network.output.name, ours[network.output.name], out)
    for name, theirs in traced.items():
        _compare(wrong, "C++", name, ours[name], theirs)
    kinds = tuple(type(layer).__name__ for layer in network)
    return Outcome(spec, "", tuple(wrong), compared, len(traced), kinds)


def _compare(wrong: list[str], who: str, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    different = np.flatnonzero((ours != theirs).ravel())
    if different.size:
        at = different[0]
        wrong.append(
            f"{who} at {name}: {different.size} of {ours.size}, first {ours.ravel()[at]} / {theirs.ravel()[at]}"
        )


# --- the hunt --------------------------------------------------------------------------------------------------------


def draw_specs(number: int, count: int) -> list[Spec]:
    """Return `count` different random Specs for a seed."""
    found: dict[str, Spec] = {}
    batch = 0
    while len(found) < count:
        batch += 1

        @seed(number * 10_007 + batch)
        @settings(
            max_examples=8,  # later ones of a batch are mutations of earlier ones: too alike
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(specs())
        def collect(spec):
            found.setdefault(repr(spec), spec)

        collect()
    return list(found.values())[:count]


def precompiled_header(folder: Path) -> tuple[str, ...]:
    """Compile the headers that every project includes; return the compiler's options to use them."""
    import importlib.util

    origin = importlib.util.find_spec("hls4ml").origin
    types = Path(origin).parent / "templates/vivado/ap_types"
    names = ("ap_fixed.h", "ap_int.h", "hls_stream.h")
    standard = ("algorithm", "array", "cmath", "cstdio", "fstream", "iostream", "map", "sstream", "string", "vector")
    header = folder / "all.h"
    lines = [f"#include <{n}>" for n in standard] + [f'#include "{n}"' for n in names]
    header.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["g++", *csim.FLAGS, "-O0", f"-I{types}", "-x", "c++-header", header, "-o", folder / "all.h.gch"]
    subprocess.run(command, check=True)
    return (f"-I{folder}", "-include", "all.h")


def _work(spec: Spec, options: tuple[str, ...]) -> Outcome:
    """Check one Spec in a worker process, in a folder of its own with its own cache."""
    with tempfile.TemporaryDirectory(prefix="hunt-") as name:
        os.environ["FPGAML_CACHE"] = name
        try:
            return check(spec, Path(name), (), "-O1") if spec.seed % 5 == 0 else check(spec, Path(name), options)
        except Exception as error:  # noqa: BLE001 whatever breaks is a find
            return Outcome(spec, wrong=(f"{type(error).__name__}: {str(error)[-1500:]}",))


def _start() -> None:
    warnings.simplefilter("ignore")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    csim.cores = lambda: 1


def hunt(seconds: float, number: int, networks: int, workers: int = WORKERS) -> list[Outcome]:
    """Check random networks until the time or their number is over; print what is found as it is found."""
    end = time.monotonic() + seconds
    found: list[Outcome] = []
    folder = Path(tempfile.mkdtemp(prefix="hunt-"))
    try:
        options = precompiled_header(folder)
        todo = iter(draw_specs(number, networks))
        with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
            running = {pool.submit(_work, spec, options) for spec in islice(todo, 2 * workers)}
            while running:
                done = next(as_completed(running))
                running.discard(done)
                found.append(done.result())
                _tell(found)
                spec = next(todo, None) if time.monotonic() < end else None
                if spec:
                    running.add(pool.submit(_work, spec, options))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _tell(found: list[Outcome]) -> None:
    last = found[-1]
    if last.wrong:
        print(f"\nDIFFERENT: {last.spec!r}\n  " + "\n  ".join(last.wrong), flush=True)
    if len(found) % 20 == 0:
        print(summary(found).splitlines()[0], flush=True)


def summary(found: list[Outcome]) -> str:
    """Return counts: networks equal, refused (by reason) and different, layers compared, kinds of layer seen."""
    ran = [one for one in found if not one.refused]
    wrong = [one for one in ran if one.wrong]
    keras = sum(one.keras_layers > 0 for one in ran)
    lines = [
        f"{len(found)} networks: {len(ran) - len(wrong)} equal, {len(found) - len(ran)} refused, "
        f"{len(wrong)} different; {keras} against Keras, {len(ran) - keras} against rational arithmetic; "
        f"{sum(o.keras_layers for o in ran)} layers in Keras, {sum(o.csim_layers for o in ran)} in C++"
    ]
    reasons = Counter(re.sub(r"'l\w+'", "'...'", re.sub(r"\d+", "N", one.refused)) for one in found if one.refused)
    lines += [f"  refused {count:3}: {reason}" for reason, count in reasons.most_common()]
    kinds = Counter(kind for one in ran for kind in set(one.kinds))
    lines.append("  networks with " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    for what in ("io_type", "strategy", "backend"):
        lines.append("  " + json.dumps(Counter(getattr(one.spec, what) for one in ran)))
    return "\n".join(lines)


def main() -> int:
    """Hunt, print the summary, and return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--networks", type=int, default=1000)
    given_ = parser.parse_args()
    found = hunt(given_.seconds, given_.seed, given_.networks)
    print(summary(found))
    return any(one.wrong for one in found)


if __name__ == "__main__":
    sys.exit(main())
