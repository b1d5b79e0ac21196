"""The board driver: its wire format against numpy by hand, its PYNQ half against a stand-in with the same calls."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from fpgaml.datasets.inputs import pixels
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.project.driver import RUN_FOREVER, Accelerator, Check, Port, Settings


def port(count=3, width=14, fraction=9, signed=True, rounding="TRN", overflow="WRAP", data_width=32):
    return Port(count, width, fraction, signed, rounding, overflow, data_width)


def test_layout_of_a_port():
    found = port()
    assert (found.lane, found.lanes, found.beats, found.dtype) == (16, 2, 2, np.dtype("int16"))
    assert (port(784, 8, 8, False).lanes, port(784, 8, 8, False).beats) == (4, 196)
    assert port(1, 33, 0, data_width=64).lane == 64


def test_pack_is_little_endian_lanes_with_zeros_behind():
    found = port().pack([[1, -2, 3]])
    assert found.tolist() == [[1, -2, 3, 0]]
    assert found.tobytes() == bytes([1, 0, 0xFE, 0xFF, 3, 0, 0, 0])


@pytest.mark.parametrize("data_width", [8, 16, 32, 64])
@pytest.mark.parametrize(("width", "signed"), [(1, False), (8, False), (8, True), (13, True), (32, True), (33, False)])
def test_unpack_undoes_pack(data_width, width, signed):
    if max(8, 1 << (width - 1).bit_length()) > data_width:
        with pytest.raises(ValueError, match=f"which a data width of {data_width} bits does not hold"):
            port(7, width, 0, signed, data_width=data_width)
        return
    one = port(7, width, 0, signed, data_width=data_width)
    codes = np.random.default_rng(0).integers(one.low, one.high + 1, (50, 7))
    codes[0], codes[1] = one.low, one.high
    assert one.pack(codes).nbytes == 50 * one.beats * data_width // 8
    np.testing.assert_array_equal(one.unpack(one.pack(codes)), codes)


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="codes must be -8192 to 8191, not 0 to 8192"):
        port().pack([[0, 0, 8192]])
    with pytest.raises(ValueError, match="an image must have 3 codes, not 2"):
        port().pack([[0, 0]])


@pytest.mark.parametrize("rounding", ["TRN", "TRN_ZERO", "RND", "RND_CONV"])
@pytest.mark.parametrize("overflow", ["SAT", "WRAP"])
@pytest.mark.parametrize("signed", [True, False])
def test_encode_is_that_of_fixed_point(rounding, overflow, signed):
    kind = FixedPoint(6, 2, signed, Rounding[rounding], Overflow[overflow])
    values = np.arange(-2000, 2000) / 256
    one = port(1, 6, kind.fraction, signed, rounding, overflow)
    np.testing.assert_array_equal(one.encode(values), kind.encode(values))
    np.testing.assert_array_equal(one.decode(one.encode(values)), kind.decode(kind.encode(values)))


# ---- the PYNQ half ----


class Buffer(np.ndarray):
    """What pynq.allocate gives: an array with a few methods more."""

    freed = False

    def freebuffer(self):
        self.freed = True


def allocate(shape, dtype):
    return np.zeros(shape, dtype).view(Buffer)


class Channel:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def transfer(self, array):
        self.log.append((self.name, array))

    def wait(self):
        self.log.append((f"{self.name} done", None))


class Board:
    """A DMA with an IP behind it that answers as `function` does, image by image; checks the order of the calls."""

    def __init__(self, function, x, y):
        self.log, self.function, self.x, self.y = [], function, x, y
        self.registers = {}
        self.dma = self
        self.network_ip = self
        self.sendchannel, self.recvchannel = Channel(self.log, "send"), Channel(self.log, "receive")
        self.sendchannel.wait = self._answer

    def write(self, offset, value):
        self.registers[offset] = value

    def _answer(self):
        assert self.registers == {0: RUN_FOREVER}
        (first, answer), (second, sent) = self.log[-2:]
        assert (first, second) == ("receive", "send")
        answer[:] = self.y.pack(self.function(self.x.unpack(sent)))


@pytest.fixture
def package(tmp_path):
    """Return a board package of a network whose logits are the first three of its four codes, negated."""
    x, y = port(4, 8, 8, False, "RND", "SAT"), port()
    settings = {"name": "tiny", "digest": "0", "input": asdict(x), "output": asdict(y)}
    settings |= {
        "encoding": asdict(pixels((4,))),
        "classes": ["zero", "one", "two"],
        "bitstream": "tiny.bit",
        "dma": "dma",
        "ip": "network_ip",
    }
    (tmp_path / "network.json").write_text(json.dumps(settings), encoding="utf-8")
    rows = np.random.default_rng(0).integers(0, 256, (10, 4)).astype(np.uint8)
    outputs = -rows[:, :3].astype(int)
    names = np.array(settings["classes"])[outputs.argmax(axis=1)]
    labels = np.where(np.arange(10) < 8, names, "none")
    np.savez(tmp_path / "golden.npz", rows=rows, columns=[], labels=labels, codes=rows, outputs=outputs, classes=names)
    return tmp_path


def accelerator(package, function=lambda codes: -codes[:, :3], batch=4):
    settings = Settings.read(package)
    board = Board(function, settings.input, settings.output)
    return Accelerator(settings, board, allocate, package, batch)


def test_images_go_in_batches_and_come_back_in_order(package):
    codes = np.random.default_rng(1).integers(0, 256, (11, 4))
    found = accelerator(package).run(codes)
    np.testing.assert_array_equal(found, -codes[:, :3])


def test_classify_takes_pixels_and_values(package):
    images = np.array([[9, 3, 5, 0], [1, 3, 0, 0]], np.uint8)
    assert accelerator(package).classify(images).tolist() == [1, 2]
    assert accelerator(package).classify(images / 256).tolist() == [1, 2]
    assert accelerator(package).name(images).tolist() == ["one", "two"]
    with pytest.raises(ValueError, match="images must be uint8 pixels"):
        accelerator(package).classify(images.astype(np.int64))
    with pytest.raises(ValueError, match=r"row 0, value 0 is .*; a pixel / 255 is on no grid: give uint8 pixels"):
        accelerator(package).classify(images / 255)


def test_self_check_passes_and_fails(package):
    found = accelerator(package).self_check()
    assert found == Check(10, 8)
    assert str(found) == (
        "PASS: 10 raw rows, every code, output and class as expected; 80.00% of the classes are those of the labels"
    )

    def wrong(codes):
        logits = -codes[:, :3]
        logits[4, 2] += 1
        return logits

    with pytest.raises(RuntimeError, match=r"tiny: 1 of 30 output codes are wrong; the first, row 4, number 2, is "):
        accelerator(package, wrong, batch=10).self_check()


def test_one_output_is_a_class_above_zero_and_one_at_or_below():
    one = Settings("n", "0", port(1), port(1), pixels((1,)), ("gamma", "neutron"), "n.bit", "dma", "ip")
    classes = one.classify(np.array([[-3], [0], [1], [200]]))
    assert (classes.tolist(), one.names(classes).tolist()[1:3]) == ([0, 0, 1, 1], ["gamma", "neutron"])


def test_throughput_and_close(package):
    one = accelerator(package)
    assert one.throughput(np.zeros((4, 4), np.uint8), repeats=2) > 0
    one.close()
    assert one._send.freed
    assert one._receive.freed


def test_a_batch_never_exceeds_the_length_register(package):
    assert accelerator(package, batch=10**9).batch == ((1 << 26) - 1) // 8
