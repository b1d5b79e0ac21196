"""The shape of a data set, known without reading it."""

import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import NAMED, save_codes
from fpgaml.datasets.sources import load_data, shape_of
from fpgaml.ir.fixed import FixedPoint

LABELS = np.arange(6) % 2


def card(folder, source):
    return card_of({"data": {"source": source}}, folder=folder)


@pytest.mark.parametrize("dims", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_images_have_the_shape_in_their_header(dims, tmp_path):
    x = np.zeros((6, *dims), np.uint8)
    np.savez_compressed(tmp_path / "few.npz", x_train=x, y_train=LABELS, x_test=x, y_test=LABELS)
    own = card(tmp_path, "few.npz")
    assert shape_of(own) == load_data(own).shape == (*dims, 1)[:3]


def test_codes_have_the_shape_in_their_header(tmp_path):
    save_codes(tmp_path / "codes.npz", np.zeros((6, 7), np.int64), None, FixedPoint(10, 3))
    own = card(tmp_path, "codes.npz")
    assert shape_of(own) == load_data(own).shape == (7,)


def test_named_sets_are_known(tmp_path):
    assert shape_of(card(tmp_path, "mnist")) == NAMED["mnist"] == load_data(card(tmp_path, "mnist")).shape


def test_what_only_reading_tells_has_no_shape(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 cut off")
    (tmp_path / "table.csv").write_text("a,label\n1,0\n")
    np.savez(tmp_path / "other.npz", images=np.zeros((3, 4)))
    for source in ("broken.npz", "table.csv", "other.npz", "none.npz"):
        assert shape_of(card(tmp_path, source)) is None


def test_a_stated_shape_and_a_table_of_numbers(tmp_path):
    x = np.random.default_rng(0).integers(0, 9, (6, 12)).astype(np.uint8)
    np.savez(tmp_path / "few.npz", x_train=x, y_train=LABELS, x_test=x, y_test=LABELS)
    own = card(tmp_path, "few.npz")
    assert shape_of(own) == load_data(own).shape == (12,)
    own = card_of({"data": {"source": "few.npz", "shape": [3, 4]}}, folder=tmp_path)
    assert shape_of(own) == load_data(own).shape == (3, 4)


def test_pixels_are_not_read(tmp_path):
    """A header before nothing at all tells the shape."""
    from zipfile import ZipFile

    with ZipFile(tmp_path / "cut.npz", "w") as file, file.open("x_train.npy", "w") as array:
        np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": (60_000, 9, 8)})
    assert shape_of(card(tmp_path, "cut.npz")) == (9, 8, 1)
