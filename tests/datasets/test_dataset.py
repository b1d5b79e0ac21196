"""Data: the shipped set is the original, and what does not fit is refused."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from fpgaml.card.sections import Data
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import images, load, save_codes
from fpgaml.datasets.files import read_idx
from fpgaml.datasets.sources import load_data
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import PIXEL, FixedPoint


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def tiny(train=6, test=4, classes=2):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (train, 4, 5), np.uint8),
        "y_train": (np.arange(train) % classes).astype(np.uint8),
        "x_test": rng.integers(0, 256, (test, 4, 5), np.uint8),
        "y_test": (np.arange(test) % classes).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def mnist():
    return load("mnist")


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        ("x_train", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ("y_train", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ("x_test", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("y_test", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
)
def test_the_shipped_set_is_the_original(mnist, key, digest):
    array = getattr(mnist, key)
    array = array[..., 0] if array.ndim == 4 else array
    assert hashlib.sha256(idx(array)).hexdigest() == digest


def test_shapes_and_values(mnist):
    assert mnist.x_train.shape == (60_000, 28, 28, 1)
    assert mnist.x_test.shape == (10_000, 28, 28, 1)
    assert (mnist.shape, mnist.classes, mnist.names[3], mnist.input_type) == ((28, 28, 1), 10, "3", PIXEL)
    values = mnist.values(mnist.x_test[:10])
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values * 256, mnist.x_test[:10])
    assert values.max() == 255 / 256


def test_a_subset_is_relabelled(mnist):
    pair = mnist.subset((9, 1))
    assert pair.names == ("9", "1")
    assert (len(pair.x_train), len(pair.x_test)) == (5949 + 6742, 1009 + 1135)
    np.testing.assert_array_equal(pair.y_test[:5], (mnist.y_test[np.isin(mnist.y_test, (1, 9))] == 1)[:5])
    assert pair.digest != mnist.digest
    with pytest.raises(ConfigError) as caught:
        mnist.subset((1, 10))
    assert str(caught.value) == "data.classes must name labels 0 to 9, not 10"


def test_a_subset_needs_test_images_and_keeps_many_classes():
    with pytest.raises(DataError) as caught:
        images(tiny(classes=3, test=1), "here").subset((1, 2))
    assert str(caught.value) == "data.classes must have test images; there is none of 1, 2"
    many = tiny(train=600)
    many["y_train"] = np.arange(600) % 300
    assert images(many, "here").subset(tuple(range(300))).y_train.max() == 299


@pytest.mark.parametrize("packed", [False, True])
def test_idx_folders(tmp_path, packed):
    arrays = tiny()
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for name, array in zip(names, arrays.values(), strict=True):
        raw = idx(array)
        (tmp_path / (name + ".gz" * packed)).write_bytes(gzip.compress(raw) if packed else raw)
    found = load(tmp_path.name, tmp_path.parent)
    assert found.digest == images(arrays, "here").digest
    (tmp_path / (names[2] + ".gz" * packed)).unlink()
    with pytest.raises(DataError) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"{tmp_path} must hold the IDX file {names[2]} or {names[2]}.gz; it does not"


def test_npz(tmp_path):
    path = tmp_path / "my.npz"
    np.savez(path, **tiny())
    assert load("my.npz", tmp_path).shape == (4, 5, 1)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"is not a readable \.npz file"):
        load("my.npz", tmp_path)
    np.savez(path, **{key: value for key, value in tiny().items() if key != "y_test"})
    with pytest.raises(DataError) as caught:
        load("my.npz", tmp_path)
    assert str(caught.value) == f"{path} must hold x_train, y_train, x_test, y_test; y_test is missing"
    np.savez(path, x_train=np.array([{}], dtype=object), **{k: v for k, v in tiny().items() if k != "x_train"})
    with pytest.raises(DataError, match="is not a readable"):
        load("my.npz", tmp_path)


def test_labels_one_hot_are_the_place_of_the_one(tmp_path):
    plain, hot = tiny(), tiny()
    hot["y_train"], hot["y_test"] = np.eye(2)[plain["y_train"]], np.eye(2, dtype=bool)[plain["y_test"]]
    np.savez(tmp_path / "plain.npz", **plain)
    np.savez(tmp_path / "hot.npz", **hot)
    one, other = (load(name, tmp_path) for name in ("plain.npz", "hot.npz"))
    np.testing.assert_array_equal(one.y_train, other.y_train)
    np.testing.assert_array_equal(one.y_test, other.y_test)


def test_missing_sources(tmp_path):
    for source, message in (
        (
            "gone",
            "data.source must be 'mnist', 'fashion_mnist', 'cifar10', an .npz, .npy, .csv, IDX or .mat file, or a "
            "folder of IDX, CIFAR-10 or SVHN files; "
            f"{tmp_path / 'gone'} does not exist",
        ),
        ("gone.npz", f"data file {tmp_path / 'gone.npz'} does not exist"),
    ):
        with pytest.raises(DataError) as caught:
            load(source, tmp_path)
        assert str(caught.value) == message


DAMAGED = [
    (b"", "must be an IDX file of unsigned bytes; its first bytes are none"),
    (b"PK\3\4xxxx", "must be an IDX file of unsigned bytes; its first bytes are 50 4b 03 04"),
    (struct.pack(">BBBBI", 0, 0, 13, 1, 2) + b"ab",
     "must be an IDX file of unsigned bytes; its first bytes are 00 00 0d 01"),
    (idx(np.zeros((2, 3), np.uint8))[:-1], "must hold 6 bytes of data for its shape (2, 3), not 5; is it cut off?"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "message"), DAMAGED)
def test_damaged_idx(tmp_path, raw, message):
    path = tmp_path / "file"
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value) == f"{path} {message}"


def test_damaged_gzip(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(100, np.uint8)))[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path)


NUMBERED = "number the classes 0, 1, 2, ..., or name them in data.classes"
STRANGE = [
    ({"x_train": np.zeros((6, 4, 5))}, "x_train must be uint8 images of shape (images, height, width) or "
     "(images, height, width, channels), not float64 of shape (6, 4, 5)"),
    ({"x_test": np.zeros((4, 4), np.uint8)}, "x_test must be uint8 images of shape (images, height, width) or "
     "(images, height, width, channels), not uint8 of shape (4, 4)"),
    ({"x_test": np.zeros((4, 5, 4), np.uint8)},
     "test images must have the shape (4, 5, 1) of the training images, not (5, 4, 1)"),
    ({"x_train": np.zeros((0, 4, 5), np.uint8)}, "x_train must have at least one image, not shape (0, 4, 5)"),
    ({"y_train": np.zeros(5, np.uint8)}, "y_train must have one label for each of the 6 images, not shape (5,)"),
    ({"y_train": np.full(6, 0.5)}, "y_train must be whole numbers, not float64"),
    ({"y_train": np.ones(6, int)}, "labels must start at 0, not 1; " + NUMBERED),
    ({"y_train": np.array([-1, 0, 1, 0, 1, 0])}, "labels must start at 0, not -1; " + NUMBERED),
    ({"y_train": np.array([0, 0, 2, 2, 0, 0])}, "labels must be 0 to 2 without gaps, but no training image has label "
     "1; " + NUMBERED),
    ({"y_train": np.array([0, 1, 50_000, 0, 1, 0])}, "labels must be 0 to 50000 without gaps, but no training image "
     "has label 2; " + NUMBERED),
    ({"y_train": 2 * np.eye(6, dtype=int)}, "y_train must have one label for each of the 6 images, not shape (6, 6)"),
    ({"y_train": np.zeros(6, int)}, "labels must be of two or more classes, not only 0"),
    ({"y_test": np.array([0, 1, 2, 0])}, "test labels must be among the training labels; 2 is not"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), STRANGE, ids=[message[:50] for _, message in STRANGE])
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(DataError) as caught:
        images(tiny() | change, "here")
    assert str(caught.value).removeprefix("here: ") == message


def test_codes_that_were_saved_are_test_images_of_their_type(tmp_path):
    kind = FixedPoint(10, 3)
    codes = np.array([[-512, 511], [0, 1], [2, 3]])
    save_codes(tmp_path / "images.npz", codes, np.array([0, 2, 1]), kind)
    found = load("images.npz", tmp_path)
    np.testing.assert_array_equal(found.x_test, codes)
    assert (found.x_test.dtype, found.input_type, found.names, found.shape) == (np.int16, kind, ("0", "1", "2"), (2,))
    assert (found.y_test.tolist(), len(found.x_train), found.labelled) == ([0, 2, 1], 0, True)
    save_codes(tmp_path / "images.npz", codes, None, kind)
    found = load("images.npz", tmp_path)
    assert (found.labelled, len(found.y_test), found.classes) == (False, 0, 0)


def test_codes_of_another_type_are_refused(tmp_path):
    np.savez(tmp_path / "images.npz", codes=np.array([[300]]), type="ufixed<8,0>")
    with pytest.raises(DataError) as caught:
        load("images.npz", tmp_path)
    assert str(caught.value) == f"{tmp_path}/images.npz: codes from 300 to 300 are no codes of ufixed<8,0>"


def test_any_labels_can_be_named_as_classes(tmp_path):
    """Numbers that do not count from 0, in the order given; whole numbers may be written as floats."""
    x = np.arange(40, dtype=np.uint8).reshape(20, 2)
    for labels in (np.tile([11, -11, 22, 211], 5), np.tile([11.0, -11.0, 22.0, 211.0], 5)):
        np.savez(tmp_path / "p.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
        data = Data(source="p.npz", classes=(22, -11, 11))
        found = load_data(card_of({"data": data.model_dump(mode="json")}, folder=tmp_path))
        assert found.names == ("22", "-11", "11")
        np.testing.assert_array_equal(found.y_test, np.tile([2, 1, 0], 5))
        np.testing.assert_array_equal(found.x_test, x[labels != 211])
    with pytest.raises(ConfigError) as caught:
        load_data(card_of({"data": {"source": "p.npz", "classes": [11, 1]}}, folder=tmp_path))
    assert str(caught.value) == "data.classes must name classes among -11, 11, 22, 211, not 1"
