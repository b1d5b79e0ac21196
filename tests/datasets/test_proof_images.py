"""Images to prove a model with: their raw rows become their codes again, which is what a board will do."""

import numpy as np
import pytest

from fpgaml.datasets.proof_images import load_images
from fpgaml.flow.foreign import _raw
from fpgaml.ir.fixed import PIXEL, FixedPoint

RNG = np.random.default_rng(8)
KIND = FixedPoint(10, 2)
CASES = {
    "pixels": (RNG.integers(0, 256, (20, 6), np.uint8), PIXEL, None, "pixels"),
    "scaled pixels": (RNG.integers(0, 256, (20, 6), np.uint8), KIND, "1/255", "pixels"),
    "scaled integers": (RNG.integers(-4000, 4000, (20, 6)), KIND, "1/1000", "scaled"),
    "integers": (RNG.integers(-512, 512, (20, 6)), KIND, None, "codes"),
    "real numbers": (RNG.uniform(-1.9, 1.9, (20, 6)).astype(np.float32), KIND, None, "scaled"),
    "real numbers of pixels": (RNG.integers(0, 256, (20, 6)) / 256, PIXEL, None, "scaled"),
}


@pytest.mark.parametrize("name", CASES)
def test_raw_rows_become_the_codes_again(name, tmp_path):
    rows, kind, scale, how = CASES[name]
    words = np.array(["b", "a", "c", "a"])[np.arange(20) % 4]
    np.savez(tmp_path / "x.npz", x=rows, y=words)
    found = load_images(tmp_path / "x.npz", (6,), kind, 20, scale)
    raw = _raw(found, kind)
    assert (raw.encoding.kind, raw.classes) == (how, ("a", "b", "c"))
    np.testing.assert_array_equal(raw.rows, rows)
    np.testing.assert_array_equal(raw.encoding.codes(rows), found.codes)
    np.testing.assert_array_equal(np.array(raw.classes)[raw.labels], words)


def test_a_scale_that_no_board_can_do_exactly_has_no_encoding(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.arange(-6, 6).reshape(2, 6))
    assert load_images(tmp_path / "x.npz", (6,), FixedPoint(24, 4), 2, "1/3").encoding is None


def test_random_codes_are_given_as_such():
    found = load_images(None, (6,), KIND, 5)
    raw = _raw(found, KIND)
    assert (raw.encoding.kind, raw.classes, len(raw.labels)) == ("codes", (), 0)
    np.testing.assert_array_equal(raw.rows, found.codes)
