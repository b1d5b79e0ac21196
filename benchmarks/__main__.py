"""The benchmark: ours against hls4ml's own path, in one run, on the same networks and machine.

    python -m benchmarks            (make bench)   writes bench.json and prints the table
    python -m benchmarks --quick    fewer images and sizes, for a look

Each figure is a median over repeats; the rival's is taken in the same run, so a ratio holds when the machine's speed
does not. Growth is measured over sizes and its exponent fitted: 1 is proportional.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from fpgaml.backend import csim, hls4ml
from fpgaml.backend.lowering import lower
from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import load_card
from fpgaml.datasets.sources import load_data
from fpgaml.exact import emulate
from fpgaml.flow import verbs
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import Activation, Conv, Dense, Function, Input, Layer, Network, Weights
from fpgaml.ir.saving import load, save
from fpgaml.precision.sweep import Setting, named_tensors, sweep
from fpgaml.runs import subject as subjects
from fpgaml.runs.opener import open_subject
from fpgaml.target.design import Design, IoType
from fpgaml.target.process import run_tool

RIVAL = Path(__file__).with_name("rival_child.py")
MODELS = Path("models")
RELU = FixedPoint(6, 2, False, Rounding.RND_CONV, Overflow.SAT)

DESIGNS = (("mnist_mlp", [IoType.PARALLEL]), ("mnist_cnn", [IoType.PARALLEL, IoType.STREAM]))

Record = dict[str, Any]


def main() -> None:
    """Measure everything, print the table and write bench.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer images and sizes")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    console = Console(highlight=False)
    images = 1000 if options.quick else 10_000
    rows = [*simulation(images, console), *training(console), *commands(console)]
    growth = [] if options.quick else growths(console)
    levels = [] if options.quick else compilations(console)
    record = {"machine": machine(), "images": images, "rows": rows, "growth": growth, "levels": levels}
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    show(record, console)
    console.print(f"\n{options.output}")


def machine() -> Record:
    """Return what the figures depend on."""
    return {
        "cores": csim.cores(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("fpgaml", "numpy", "hls4ml", "tensorflow")},
    }


# --- emulation, C simulation, conversion ----------------------------------------------------------------------------


def simulation(images: int, console: Console) -> list[Record]:
    """Compare emulator, C simulation and conversion with hls4ml for the cards."""
    rows: list[Record] = []
    for card_name, io_types in DESIGNS:
        network, design, codes = _trained(card_name)
        codes = codes[:images]
        for io_type in io_types:
            console.print(f"[dim]{card_name}, {io_type}: hls4ml's own path, then ours[/]")
            rows += _against_hls4ml(network, replace(design, io_type=io_type), codes, f"{card_name}, {io_type}")
        if card_name == "mnist_mlp":
            rows.append(_floor(network, codes, card_name))
            rows.append(_sweep(images, rows[4]["rival"]))
        rows.append(_memory(network, codes, card_name))
    return rows


def _trained(card_name: str) -> tuple[Network, Design, Any]:
    """Return the trained network of a card, its design, and the test images."""
    card = load_card(MODELS / f"{card_name}.toml")
    return load(MODELS / "trained" / card_name / "network.npz"), card.design.resolve(), load_data(card).x_test


def _against_hls4ml(network: Network, design: Design, codes: Any, what: str) -> list[Record]:
    emulator = emulate.Emulator(network)
    expected = emulator.run(codes)  # warm
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        theirs, outputs = _rival(network, design, codes, work)
        kind = tensor_types(network)[network.output.name]
        equal = bool((kind.decode(expected).reshape(len(codes), -1) == outputs).all())
        os.environ["FPGAML_CACHE"] = str(work / "cache")
        start = time.perf_counter()
        hls4ml.convert(network, design, work / "hls", log=work / "convert.log")
        program = csim.build(network, work / "hls", log=work / "g++.log", images=len(codes))
        built = time.perf_counter() - start
        again = _median(lambda: csim.build(network, work / "hls", log=work / "g++.log", images=len(codes)), 3)
        simulated = _median(lambda: csim.simulate(program, codes), 3)
        exact = bool((csim.simulate(program, codes)[0] == expected).all())
        del os.environ["FPGAML_CACHE"]
    predict = statistics.median(theirs["predict"])
    their_build = theirs["convert"] + theirs["compile"]
    emulated = _median(lambda: emulator.run(codes), 7)
    return [
        _row(f"emulate, {what}", emulated, predict, "hls4ml predict", equal=equal),
        _row(f"C simulation, {what}", simulated, predict, "hls4ml predict", equal=exact),
        _row(f"convert + compile, {what}", built, their_build, "hls4ml convert + compile"),
        _row(f"convert + compile again, unchanged, {what}", again, their_build, "hls4ml convert + compile"),
        _row(f"whole: convert, compile, simulate, {what}", built + simulated, their_build + predict, "hls4ml"),
    ]


def _rival(network: Network, design: Design, codes: Any, work: Path) -> tuple[Record, Any]:
    request, arrays = lower(network, design, work / "rival")
    request["repeats"] = 1 if len(codes) > 2000 else 3
    for entry in request["config"]["LayerName"].values():
        entry["Trace"] = False
    (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
    np.savez(work / "weights.npz", allow_pickle=False, **arrays)
    np.save(work / "images.npy", network.input.type.decode(codes).astype(np.float32))
    child: list[str | Path] = [sys.executable, "-P", RIVAL, "request.json", "weights.npz", "images.npy", "result.json"]
    run_tool(child, cwd=work, log=work / "rival.log")
    return json.loads((work / "result.json").read_text(encoding="utf-8")), np.load(work / "result.npy")


def _floor(network: Network, codes: Any, what: str) -> Record:
    """The machine's own float32 matrix products of the same sizes, on all cores."""
    emulator = emulate.Emulator(network)
    x = codes.reshape(len(codes), -1).astype(np.float32)
    kernels = [layer.kernel.codes.astype(np.float32) for layer in network if isinstance(layer, Dense)]

    def products() -> None:
        y = x
        for kernel in kernels:
            y = y @ kernel

    with threadpool_limits(csim.cores(), "blas"):
        products()
        floor = _median(products, 7)
    return _row(f"emulate, {what}", _median(lambda: emulator.run(codes), 7), floor, "float32 matrix products alone")


def _sweep(images: int, rival: float) -> Record:
    """A precision sweep of 36 points; hls4ml would convert, compile and predict at each, timed once in this run."""
    subject = open_subject(MODELS / "trained/mnist_mlp/float.keras")
    codes, labels = (array[:images] for array in subject.test)
    others, setting = subjects.sweep_types(subject), Setting(named_tensors("all"))

    def all_points() -> None:
        sweep(
            subject.model, codes, labels, widths=range(4, 16, 2), integers=range(1, 7), others=others, setting=setting
        )

    against = "hls4ml, 36 times convert, compile, predict (one measured)"
    return _row("precision sweep, 36 points, mnist_mlp", _median(all_points, 1), 36 * rival, against)


MANY = 1_000_000


def _memory(network: Network, codes: Any, what: str) -> Record:
    """Peak memory of emulating these images, and a million, each in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        save(network, work / "network.npz")
        np.save(work / "codes.npy", codes)
        code = (
            "import sys, numpy as np; from pathlib import Path; from fpgaml import emulate, network;"
            "e = emulate.Emulator(network.load(Path(sys.argv[1]))); x = np.load(sys.argv[2]); n = int(sys.argv[3]);"
            "x = x if n == len(x) else np.broadcast_to(x[0], (n, *x.shape[1:]));\n"  # a million without their memory
            "for span, t in e.stream(x, [e.network.output.name]): pass\n"
            "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"  # ru_maxrss is the parent's
        )
        peaks = []
        for count in (len(codes), MANY):
            args = [sys.executable, "-c", code, work / "network.npz", work / "codes.npy", str(count)]
            done = subprocess.run([str(a) for a in args], capture_output=True, text=True, check=True)
            peaks.append(int(done.stdout) / 1024)
    return {
        "what": f"peak memory of emulating {len(codes):,} images, {what}", "ours": peaks[0], "rival": peaks[1],
        "unit": "MB", "against": f"{MANY:,} images in chunks", "ratio": peaks[1] / peaks[0], "equal": None,
    }  # fmt: skip


# --- training and commands ------------------------------------------------------------------------------------------

TURNS = 5


def training(console: Console) -> list[Record]:
    """Compare an epoch of quantization-aware training with a float epoch, batch 50, in turns.

    The first epoch of each training, which traces and compiles, is left out.
    """
    console.print(f"[dim]training: {TURNS} times three epochs float, three quantized[/]")
    card = changed(load_card(MODELS / "mnist_mlp.toml"), {"training": {"epochs": 3}, "quantization": {"epochs": 3}})
    data = load_data(card)
    theirs, ours = [], []
    for _ in range(TURNS):
        model, plain = verbs.train(card, data)
        _, quantized = verbs.quantize(card, model, data)
        theirs += [epoch.seconds for epoch in plain.epochs[1:]]
        ours += [epoch.seconds for epoch in quantized.epochs[1:]]
    pair = statistics.median(ours), statistics.median(theirs)
    return [_row("epoch of quantization-aware training, mnist_mlp", *pair, "float epoch")]


def commands(console: Console) -> list[Record]:
    """Time what a person waits for: start-up and the fast run from nothing."""
    console.print("[dim]start-up times and a fast run from nothing[/]")
    python = sys.executable
    rows = [
        _alone("import fpgaml", [python, "-c", "import fpgaml"], 5),
        _alone("fpgaml --help", [python, "-m", "fpgaml", "--help"], 5),
    ]
    with tempfile.TemporaryDirectory() as name:
        args = [python, "-m", "fpgaml", "run", str(MODELS / "mnist_mlp.toml"), "--fast", "-q", "-o", name]
        environment = os.environ | {"FPGAML_CACHE": str(Path(name) / "cache")}
        rows.append(_alone("fpgaml run models/mnist_mlp.toml --fast, from nothing", args, 1, environment))
        rows.append(_alone("the same again, unchanged", args, 3, environment))
    return rows


def _alone(what: str, args: list[str], repeats: int, environment: dict[str, str] | None = None) -> Record:
    def command() -> None:
        subprocess.run(args, check=True, capture_output=True, env=environment)

    return _row(what, _median(command, repeats), None, "")


# --- growth ---------------------------------------------------------------------------------------------------------


def growths(console: Console) -> list[Record]:
    """Measure how the emulator's time grows with images, dense width and channels."""
    console.print("[dim]growth with images, width, channels[/]")
    mlp = load(MODELS / "trained/mnist_mlp/network.npz")
    images = [100, 300, 1000, 3000, 10_000]
    widths, channels = [32, 64, 128, 256, 512, 1024], [4, 8, 16, 32]
    return [
        _growth("emulate: images, mnist_mlp", images, lambda n: _emulation(mlp, n)),
        _growth("emulate: dense width, 784-w-10, 2,000 images", widths, lambda n: _emulation(_wide(n), 2000)),
        _growth("emulate: conv channels, 28x28, c-c, 500 images", channels, lambda n: _emulation(_deep(n), 500)),
        _growth("convert + compile: dense width", widths[::2], lambda n: _build(_wide(n))),
        _growth("convert + compile: conv channels, io_stream", channels, lambda n: _build(_deep(n), IoType.STREAM)),
    ]


def _growth(what: str, sizes: list[int], seconds: Callable[[int], float]) -> Record:
    times = [seconds(size) for size in sizes]
    exponent = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    return {"what": what, "sizes": sizes, "seconds": times, "exponent": exponent}


def _emulation(network: Network, count: int) -> float:
    codes = np.random.default_rng(0).integers(0, 256, (count, *network.input.dims), np.uint8)
    emulator = emulate.Emulator(network)
    return _median(lambda: emulator.run(codes), 5)


def _build(network: Network, io_type: IoType = IoType.PARALLEL) -> float:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        start = time.perf_counter()
        design = replace(RunCard().design.resolve(), io_type=io_type, reuse_factor=1, per_layer=())
        hls4ml.convert(network, design, work / "hls", log=work / "log")
        program = csim.build(network, work / "hls", log=work / "g++.log")
        shutil.rmtree(program.path.parent)
        return time.perf_counter() - start


def _wide(width: int) -> Network:
    rng = np.random.default_rng(0)
    layers: tuple[Layer, ...] = (
        Input("x", (), (784,), FixedPoint(8, 0, False)),
        Dense("fc1", ("x",), _weights(rng, 784, width), _weights(rng, width)),
        Activation("relu1", ("fc1",), Function.RELU, RELU),
        Dense("fc2", ("relu1",), _weights(rng, width, 10), _weights(rng, 10)),
    )
    return Network("wide", layers)


def _deep(channels: int) -> Network:
    rng = np.random.default_rng(0)
    same = ((1, 1), (1, 1))
    layers: tuple[Layer, ...] = (
        Input("x", (), (28, 28, 1), FixedPoint(8, 0, False)),
        Conv("c1", ("x",), _weights(rng, 3, 3, 1, channels), _weights(rng, channels), (1, 1), same),
        Activation("relu1", ("c1",), Function.RELU, RELU),
        Conv("c2", ("relu1",), _weights(rng, 3, 3, channels, channels), _weights(rng, channels), (1, 1), same),
    )
    return Network("deep", layers)


def _weights(rng: np.random.Generator, *shape: int) -> Weights:
    return Weights(rng.integers(-32, 32, shape), FixedPoint(6, 1))


# --- the compiler's level -------------------------------------------------------------------------------------------

LEVELS = ("-O0", "-O1", "-O2")
COUNTS = (10, 100, 1000, 10_000, 100_000)


def compilations(console: Console) -> list[Record]:
    """Time compilation and simulation at each level, and hold what csim chooses for a number of images against it."""
    found = []
    for card_name, io_types in DESIGNS:
        network, own, codes = _trained(card_name)
        for io_type in io_types:
            console.print(f"[dim]{card_name}, {io_type}: compiling at each level[/]")
            with tempfile.TemporaryDirectory() as name:
                work = Path(name)
                os.environ["FPGAML_CACHE"] = str(work / "cache")
                hls4ml.convert(network, replace(own, io_type=io_type), work / "hls", log=work / "convert.log")
                timed = {level: _level(network, work, level, codes) for level in LEVELS}
                chosen = {count: csim.optimization(work / "hls", count) for count in COUNTS}
                del os.environ["FPGAML_CACHE"]
            totals = {n: {level: c + n * s for level, (c, s) in timed.items()} for n in COUNTS}
            found.append({
                "what": f"{card_name}, {io_type}",
                "compile_s": {level: compiled for level, (compiled, _) in timed.items()},
                "image_s": {level: image for level, (_, image) in timed.items()},
                "chosen": [[n, chosen[n], totals[n][chosen[n]], min(totals[n].values())] for n in COUNTS],
            })  # fmt: skip
    return found


def _level(network: Network, work: Path, level: str, codes: Any) -> tuple[float, float]:
    """Return seconds to compile, and for one more image, on all cores."""
    log, images = work / "g++.log", 1 if level == "-O0" else 10**9  # the types that the level would have
    start = time.perf_counter()
    program = csim.build(network, work / "hls", log=log, images=images, options=(level,))
    compiled = time.perf_counter() - start
    few, many = (codes[:10], codes[:60]) if level == "-O0" else (codes[:10], codes[:4000])
    more = _median(lambda: csim.simulate(program, many), 3) - _median(lambda: csim.simulate(program, few), 3)
    return compiled, more / (len(many) - len(few))


# --- figures --------------------------------------------------------------------------------------------------------


def _median(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _row(what: str, ours: float, rival: float | None, against: str, *, equal: bool | None = None) -> Record:
    ratio = None if rival is None else rival / ours
    return {"what": what, "ours": ours, "rival": rival, "unit": "s", "against": against, "ratio": ratio, "equal": equal}


def show(record: Record, console: Console) -> None:
    """Print the tables, ratios first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rival / ours", justify="right")
    for name in ("what", "ours", "rival", "against", "bits"):
        table.add_column(name)
    for row in record["rows"]:
        bits = {None: "", True: "equal", False: "DIFFER"}[row["equal"]]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        rival = "" if row["rival"] is None else f"{row['rival']:.3g} {row['unit']}"
        table.add_row(ratio, row["what"], f"{row['ours']:.3g} {row['unit']}", rival, row["against"], bits)
    console.print(table)
    for row in record["growth"]:
        times = ", ".join(
            f"{size:,}: {seconds:.3g} s" for size, seconds in zip(row["sizes"], row["seconds"], strict=True)
        )
        console.print(f"{row['what']}: exponent {row['exponent']:.2f} ({times})", soft_wrap=True)
    for row in record["levels"]:
        timed = ", ".join(
            f"{level} {row['compile_s'][level]:.1f} s + {1000 * row['image_s'][level]:.2f} ms an image"
            for level in LEVELS
        )
        console.print(f"C simulation, {row['what']}: {timed}", soft_wrap=True)
        for count, level, total, best in row["chosen"]:
            console.print(f"  {count:,} images: {level}, {total:.1f} s in all; the best level {best:.1f} s")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak memory of this process, training included: {own:,.0f} MB")


if __name__ == "__main__":
    main()
