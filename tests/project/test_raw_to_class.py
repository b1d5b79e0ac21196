"""From raw rows to class names: a board's own driver and C program, through the C++ of the wrapper, against QKeras.

On the board's side nothing is fpgaml's: driver.py is loaded from the package, and its C compiled, as a user would.
Small QKeras models with drawn weights stand for trained ones; their classes are what the board must say of every row.
"""

import csv
import importlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import qkeras

from fpgaml.backend.hls4ml import convert
from fpgaml.card.sections import Data, Normalize
from fpgaml.datasets.dataset import Dataset, load
from fpgaml.exact.comparison import classify
from fpgaml.frontend.read import read
from fpgaml.project.axi import write_stream
from fpgaml.project.board import write_board
from fpgaml.target.boards import find_board
from fpgaml.target.design import Backend, Design, IoType
from tests.project.test_board import Dma, bare_metal_object, compile_wrapper, link, pipe
from tests.project.test_driver import allocate

BOARD = "pynq-z2"
ROWS = 1000
WORDS = ("gamma", "neutron", 'pile-up, "twice"')
FEATURES = ("charge", "rise_time", "tail_to_total", "noise", "width", "delay")
SHAPES = {"table": (6,), "image": (4, 3, 1), "series": (12, 1)}


# ---- data as files have them, and models ----


def write_table(path, rng, count):
    """Features of different ranges, multiples of 1/256 so that they can also stay as they are; one never changes."""
    spread = np.array([0.99, 0.05, 0.3, 0.02, 0.5, 0.0])
    rows = np.floor(rng.uniform(0, 1, (count, 6)) * spread * 256 + 1) / 256
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [(*FEATURES, "class"), *((*row, WORDS[n % 3]) for n, row in enumerate(rows.tolist()))]
        )


def write_arrays(path, x):
    y = np.arange(len(x)) % 3
    np.savez(path, x_train=x[ROWS:], y_train=y[ROWS:], x_test=x[:ROWS], y_test=y[:ROWS])


def write_images(path, rng, count):
    write_arrays(path, rng.integers(0, 256, (count, 4, 3), np.uint8))


def write_series(path, rng, count):
    """Twelve samples of a 12-bit digitizer: baseline, rise, decay, noise."""
    t = np.arange(12) - rng.uniform(1, 4, (count, 1))
    height, decay = rng.uniform(100, 3500, (count, 1)), rng.uniform(1, 6, (count, 1))
    pulse = 40 + height * np.where(t > 0, np.exp(-t / decay), 0) + rng.normal(0, 5, t.shape)
    write_arrays(path, np.clip(np.rint(pulse), 0, 4095).astype(np.int16))


def write_codes(path, rng, count):
    write_arrays(path, rng.integers(0, 256, (count, 6)).astype(np.int32))


def write_reals(path, rng, count):
    write_arrays(path, rng.uniform(-0.1, 1.1, (count, 6)).astype(np.float32))


# What a card says of the data: the file's writer, its [data], the model.
KINDS = {
    **{str(n): (write_table, "x.csv", {"normalize": n, "label": "class"}, "table") for n in Normalize},
    "pixels": (write_images, "x.npz", {}, "image"),
    "series": (
        write_series, "x.npz", {"input_scale": "1/4095", "input_type": "ufixed<8,0>", "shape": (12, 1)}, "series",
    ),
    "codes": (write_codes, "x.npz", {"input_type": "ufixed<8,0>"}, "table"),
    "rounded": (write_reals, "x.npz", {"input_type": "ufixed<8,0>"}, "table"),
}  # fmt: skip


def model_of(kind, values):
    """Return a QKeras model with drawn weights; its last biases make no class the one of all `values`."""
    rng = np.random.default_rng(4)
    bits = {
        "kernel_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
        "bias_quantizer": qkeras.quantized_bits(6, 1, alpha=1),
    }
    inner = {
        "table": [qkeras.QDense(8, **bits)],
        "image": [qkeras.QConv2D(3, 2, **bits)],
        "series": [qkeras.QConv1D(3, 3, **bits)],
    }[kind]
    layers = [*inner, qkeras.QActivation(qkeras.quantized_relu(6, 2)), keras.layers.Flatten(), qkeras.QDense(3, **bits)]
    model = keras.Sequential([keras.Input(SHAPES[kind]), *layers])
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    *weights, bias = model.get_weights()
    model.set_weights([*weights, bias - np.median(np.asarray(model(values)), axis=0)])
    return model


@dataclass(frozen=True)
class Case:
    """A package with what QKeras says of its data set's test rows."""

    data: Dataset
    keras: Any  # class names (rows,)
    folder: Any
    project: Any


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Return a function that gives the compiled C++ of a network and its wrapper; networks of one shape share it."""
    made = {}

    def project(network, kind):
        key = (kind, network.input.type.low, network.input.type.fraction)
        if key not in made:
            folder = tmp_path_factory.mktemp("project") / "hls"
            io_type = IoType.PARALLEL if kind == "table" else IoType.STREAM
            design = Design(Backend.VITIS, find_board(BOARD).part_number, clock_ns=10.0, io_type=io_type)
            convert(network, design, folder, log=folder.with_name("log"))
            write_stream(network, design, folder, 32)
            compile_wrapper(folder, "net")
            pipe(folder, folder)
            made[key] = folder
        return made[key]

    return project


@pytest.fixture(scope="module")
def case(projects, tmp_path_factory):
    """Return a function that makes the package of a kind of data once."""
    made = {}

    def make(kind):
        if kind not in made:
            write, name, section, model_kind = KINDS[kind]
            folder = tmp_path_factory.mktemp(kind)
            write(folder / name, np.random.default_rng(11), 5 * ROWS + 30)
            data = load(name, folder, Data(**section))
            values = data.values(data.x_test).reshape(-1, *SHAPES[model_kind])
            shared = np.random.default_rng(2).uniform(0, 1, (500, 6))  # by tables of one type, whatever they hold
            model = model_of(model_kind, shared if model_kind == "table" else values)
            network = read(model, name="net", input_type=data.input_type).network
            board = find_board(BOARD)
            design = Design(Backend.VITIS, board.part_number, clock_ns=10.0)
            write_board(network, design, board, folder / "package", data.raw(ROWS), c_rows=ROWS)
            classes = np.array(data.names)[classify(np.asarray(model(values)))]
            made[kind] = Case(data, classes, folder / "package", projects(network, model_kind))
        return made[kind]

    return make


# ---- the board's side ----


def board_of(case, monkeypatch, folder):
    """Return the accelerator of a package: its own driver.py, with the wrapper's C++ in place of the FPGA."""
    monkeypatch.syspath_prepend(str(folder / "pynq"))
    for name in ("driver", "encoding"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    driver = importlib.import_module("driver")
    assert str(folder) in driver.__file__
    ip = type("Ip", (), {"write": lambda *_: None})()
    overlay = type("Overlay", (), {"axi_dma_0": Dma(case.project / "pipe"), "network_0": ip})()
    settings = driver.Settings.read(folder / "pynq")
    return driver.Accelerator(settings, overlay, allocate, folder / "pynq")


def run_bare_metal(case, folder, place):
    """Compile and run a package's C program; return its exit code and what it printed."""
    program = link(case.project, bare_metal_object(folder / "bare_metal", place), place / "program")
    found = subprocess.run([program], capture_output=True, text=True)
    return found.returncode, found.stdout.replace("\r", "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_says_of_every_raw_row_what_keras_does(case, kind, monkeypatch):
    one = case(kind)
    raw = one.data.raw_test
    board = board_of(one, monkeypatch, one.folder)
    found = board.name(raw)
    assert len(raw) >= ROWS
    assert int((found != one.keras).sum()) == 0
    counts = [int((one.keras == name).sum()) for name in one.data.names]
    assert sum(count > ROWS / 50 for count in counts) >= 2, counts  # one class alone would prove nothing
    labels = np.array(one.data.names)[one.data.y_test]
    assert board.self_check() == (ROWS, int((one.keras == labels)[:ROWS].sum()))
    if one.data.encoding.names:
        columns = dict(zip(FEATURES, raw.T, strict=True))
        shuffled = {name: columns[name] for name in sorted(columns)}
        assert list(shuffled) != list(FEATURES)
        np.testing.assert_array_equal(board.name(shuffled), one.keras)


@pytest.mark.parametrize("kind", KINDS)
def test_the_c_program_says_of_every_raw_row_what_keras_does(case, kind, tmp_path):
    one = case(kind)
    code, printed = run_bare_metal(one, one.folder, tmp_path)
    assert (code, printed.splitlines()[-1]) == (
        0, f"PASS: {ROWS} raw rows, every code, output and class as expected",
    )  # fmt: skip
    found = re.findall(r"^row (\d+): class (.*), label (.*)$", printed, re.MULTILINE)
    assert [int(row) for row, _, _ in found] == list(range(ROWS))
    assert [name for _, name, _ in found] == one.keras[:ROWS].tolist()
    assert [label for _, _, label in found] == np.array(one.data.names)[one.data.y_test][:ROWS].tolist()


# ---- faults, planted ----


def in_settings(change):
    """Return an edit of a package's network.json."""

    def edit(folder):
        path = folder / "pynq" / "network.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        change(settings, settings["encoding"])
        path.write_text(json.dumps(settings), encoding="utf-8")

    return edit


def in_text(name, pattern, new):
    """Return an edit of a package's file."""

    def edit(folder):
        text = (folder / name).read_text(encoding="utf-8")
        changed = re.sub(pattern, new, text, count=1)
        assert changed != text
        (folder / name).write_text(changed, encoding="utf-8")

    return edit


def swap(array, i=0, j=1):
    array[i], array[j] = array[j], array[i]


FAULTS = {
    "scale": ("feature", in_settings(lambda s, e: e["scale"].__setitem__(0, e["scale"][0] * 1.01)), "input codes"),
    "offset": ("standard", in_settings(lambda s, e: e["offset"].__setitem__(0, e["offset"][0] + 0.01)), "input codes"),
    "normalization": ("feature", in_settings(lambda s, e: e.update(kind="sample", offset=[], scale=[])), "input codes"),
    "none at all": (
        "feature",
        in_settings(lambda s, e: e.update(kind="none", offset=[], scale=[256.0])),
        "input codes",
    ),
    "range of a sample": ("sample", in_settings(lambda s, e: e.update(high=254)), "input codes"),
    "scale of integers": ("series", in_settings(lambda s, e: e["scale"].__setitem__(0, 255.0)), "input codes"),
    "one pixel": ("pixels", in_settings(lambda s, e: e["pixels"].__setitem__(100, 101)), "input codes"),
    "order of names": ("standard", in_settings(lambda s, e: swap(e["names"])), "input codes"),
    "order of numbers": ("feature", in_settings(lambda s, e: (swap(e["offset"]), swap(e["scale"]))), "input codes"),
    "byte order": ("feature", in_text("pynq/driver.py", r'np\.dtype\(f"<', 'np.dtype(f">'), "output codes"),
    "order in a beat": ("feature", in_text("pynq/driver.py", r"= flat\b", "= flat[:, ::-1]"), "output codes"),
    "class names": ("feature", in_settings(lambda s, e: swap(s["classes"])), "classes"),
    "a class renamed": ("pixels", in_settings(lambda s, e: s["classes"].__setitem__(2, "two")), "classes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_self_check_finds(case, fault, monkeypatch, tmp_path):
    kind, plant, what = FAULTS[fault]
    one = case(kind)
    package = copied(one, tmp_path)
    plant(package)
    with pytest.raises(RuntimeError, match=rf"^net: \d+ of \d+ {what} are wrong; the first, row \d+, number \d+, is "):
        board_of(one, monkeypatch, package).self_check()


NUMBER = r"(-?0x[^,}]+)"
HEADER, MAIN, CONSTANTS = "bare_metal/encode.h", "bare_metal/main.c", "bare_metal/network.h"
NAMED = r"const char \*const name = class_names"
SWAPPED = (
    "unsigned char *const byte = (unsigned char *)output[n];\n        const unsigned char first = byte[0];\n"
    "        byte[0] = byte[1];\n        byte[1] = first;\n        const char *const name = class_names"
)
C_FAULTS = {
    "scale": ("feature", in_text(HEADER, rf"(scale\[N_IN\] = {{){NUMBER}", r"\g<1>0x1p+4"), "value 0: code"),
    "offset": ("standard", in_text(HEADER, rf"(offset\[N_IN\] = {{){NUMBER}", r"\g<1>0x0p+0"), "value 0: code"),
    "normalization": ("feature", in_text(HEADER, "ENCODE_FEATURE 1", "ENCODE_SAMPLE 1"), "code"),
    "range of a sample": ("sample", in_text(HEADER, "CODE_HIGH 255", "CODE_HIGH 254"), "code"),
    "rounding": ("feature", in_text(HEADER, "rest > 0.5", "rest > 0.6"), "code"),
    "one pixel": ("pixels", in_text(HEADER, ", 100, ", ", 101, "), "code 101, the golden one is 100"),
    "order of names": ("feature", in_text(HEADER, '"charge", "rise_time"', '"rise_time", "charge"'), "other columns"),
    "order of numbers": ("feature", in_text(HEADER, rf"(scale\[N_IN\] = {{){NUMBER}, {NUMBER}", r"\1\3, \2"), "code"),
    "order in a beat": ("feature", in_text(HEADER, r"codes\[i\] = (.*scale\[i\])", r"codes[i ^ 1] = \1"), "code"),
    "byte order": ("feature", in_text(MAIN, NAMED, SWAPPED), "output 0: code"),
    "class names": (
        "feature",
        in_text(CONSTANTS, '"gamma", "neutron"', '"neutron", "gamma"'),
        "class neutron, the golden",
    ),
}


@pytest.mark.parametrize("fault", C_FAULTS)
def test_the_c_program_finds(case, fault, tmp_path):
    kind, plant, what = C_FAULTS[fault]
    one = case(kind)
    package = copied(one, tmp_path)
    plant(package)
    code, printed = run_bare_metal(one, package, tmp_path)
    failure = next(line for line in printed.splitlines() if line.startswith("FAIL: "))
    assert (code, what in failure) == (1, True), failure


def copied(case, folder):
    shutil.copytree(case.folder, folder / "package")
    return folder / "package"
