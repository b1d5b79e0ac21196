"""Every kind of file that data come in, each read once, and what is said of what is none."""

import numpy as np
import pytest
from scipy.io import savemat

from fpgaml.card.sections import Data, Normalize
from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import load
from fpgaml.datasets.files import read
from fpgaml.datasets.sources import load_data, with_data
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint
from tests.datasets.test_dataset import idx
from tests.datasets.test_tables import write_csv

RNG = np.random.default_rng(0)
ROWS = [("charge", "kind", "time"), *((n, ("gamma", "neutron", "muon")[n % 3], 3 * n) for n in range(30))]


def refusal(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    return str(caught.value)


def test_words_are_classes_in_their_order(tmp_path):
    write_csv(tmp_path / "a.csv", ROWS)
    found = load("a.csv", tmp_path, Data(label="kind", normalize=Normalize.NONE))
    assert found.names == ("gamma", "muon", "neutron")
    assert found.encoding.names == ("charge", "time")
    rows = np.concatenate([found.x_train, found.x_test])[:, 0]  # a whole number is its own code: the row of each sample
    np.testing.assert_array_equal(np.concatenate([found.y_train, found.y_test]), np.array([0, 2, 1])[rows % 3])


@pytest.mark.parametrize("separator", [";", "\t"])
def test_separators(tmp_path, separator):
    write_csv(tmp_path / "comma.csv", ROWS)
    text = (tmp_path / "comma.csv").read_text()
    (tmp_path / "other.csv").write_text(text.replace(",", separator))
    both = [load(name, tmp_path, Data(label="kind")).digest for name in ("comma.csv", "other.csv")]
    assert both[0] == both[1]


def test_what_is_wrong_with_a_table_is_said_with_what_to_do(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2,0\n3,4,1\n")
    assert refusal(DataError, read, path) == (
        f"{path} must begin with a row of column names, but its first row is 3 numbers; write names above it"
    )
    path.write_text("x;label\n1,5;0\n2,5;1\n")
    assert refusal(DataError, read, path) == (
        f"{path}, row 2, column 'x' must be a number, not '1,5'; write decimals with a point"
    )
    path.write_text("x,kind\n1,\n2,a\n")
    assert refusal(DataError, read, path, "kind") == f"{path}, row 2, column 'kind' must be a class, not ''"
    assert refusal(DataError, load, "a.csv", tmp_path) == f"{path}, row 2, column 'kind' must be a number, not ''"


def test_a_table_for_tests_may_have_its_columns_in_another_order(tmp_path):
    write_csv(tmp_path / "a.csv", ROWS)
    write_csv(tmp_path / "t.csv", [(row[2], row[0], row[1]) for row in ROWS[:7]])
    found = load("a.csv", tmp_path, Data(label="kind", test="t.csv"))
    assert (len(found.x_train), len(found.x_test)) == (30, 6)
    np.testing.assert_array_equal(found.x_test, found.x_train[:6])
    np.testing.assert_array_equal(found.y_test, found.y_train[:6])
    write_csv(tmp_path / "t.csv", [("charge", "kind"), (1, "muon")])
    assert refusal(DataError, load, "a.csv", tmp_path, Data(label="kind", test="t.csv")) == (
        f"{tmp_path / 't.csv'} must have the columns of {tmp_path / 'a.csv'}, charge, time; it has charge"
    )
    write_csv(tmp_path / "t.csv", [*ROWS[:2], (1, "pion", 2)])
    assert refusal(DataError, load, "a.csv", tmp_path, Data(label="kind", test="t.csv")) == (
        f"{tmp_path / 'a.csv'}: test labels must be among the training labels gamma, muon, neutron; 'pion' is not"
    )


def test_a_validation_file_is_held_out_of_training(tmp_path):
    write_csv(tmp_path / "a.csv", ROWS)
    write_csv(tmp_path / "v.csv", ROWS[:4])
    found = load("a.csv", tmp_path, Data(label="kind", validation="v.csv"))
    assert (found.validation, len(found.x_train), len(found.x_test)) == (3, 24 + 3, 6)
    np.testing.assert_array_equal(found.y_train[-3:], [0, 2, 1])
    assert found.subset((0, 1)).validation == 2


def test_an_array_file_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "x.npy", RNG.integers(0, 256, (20, 6), np.uint8))
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    found = load("x.npy", tmp_path, Data(label="y.npy"))
    assert (found.shape, found.classes, len(found.x_train), len(found.x_test)) == ((6,), 2, 16, 4)
    assert refusal(DataError, load, "x.npy", tmp_path) == (
        f"{tmp_path / 'x.npy'} must have a label for each sample; say with data.label which column, array or file "
        "holds the labels"
    )


def test_an_npz_that_is_not_divided(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.integers(0, 256, (20, 3, 3), np.uint8), kind=np.arange(20) % 2)
    assert load("a.npz", tmp_path, Data(label="kind")).shape == (3, 3, 1)
    assert refusal(ConfigError, load, "a.npz", tmp_path, Data(label="kinds")) == (
        f"data.label: {tmp_path / 'a.npz'} has no array 'kinds'; did you mean 'kind'?"
    )
    np.savez(tmp_path / "b.npz", pixels=np.zeros(3))
    assert refusal(DataError, load, "b.npz", tmp_path) == (
        f"{tmp_path / 'b.npz'} must hold x_train, y_train, x_test, y_test, or x and y; it holds pixels"
    )


def test_real_numbers_need_a_stated_grid(tmp_path):
    x = RNG.normal(0, 1, (20, 5, 2))
    x[:, 0, 0], x[:, 1, 1] = -3.5, 3.75
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    assert refusal(DataError, load, "a.npz", tmp_path) == (
        f"{tmp_path / 'a.npz'}: values are float64 from -3.5 to 3.75 of shape (5, 2); state the grid that they are "
        "rounded to with data.input_type, e.g. 'fixed<11,3>', or set data.normalize to 'standard' or 'sample'"
    )
    found = load("a.npz", tmp_path, Data(input_type="fixed<8,3>", seed=1))
    assert str(found.input_type) == "fixed<8,3,RND_CONV,SAT>"
    nearest = np.clip(np.rint(x * 32), -128, 127) / 32
    assert {tuple(one.ravel()) for one in found.values(found.x_train)} <= {tuple(one.ravel()) for one in nearest}
    pixels = RNG.integers(0, 256, (20, 4, 4)) / 255
    np.savez(tmp_path / "p.npz", x=pixels, y=np.arange(20) % 2)
    assert "pixels divided by 255, which are on no binary grid; store raw pixels as uint8" in refusal(
        DataError, load, "p.npz", tmp_path
    )


def test_integers_are_codes_of_a_stated_type_or_scaled(tmp_path):
    x = RNG.integers(0, 4096, (20, 7))
    x[0, :2] = 0, 4095
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20) % 2)
    assert refusal(DataError, load, "a.npz", tmp_path).endswith(
        "state what their codes mean with data.input_type, e.g. 'ufixed<12,0>' for values below 1"
    )
    found = load("a.npz", tmp_path, Data(input_type="ufixed<12,0>"))
    assert {tuple(row) for row in np.concatenate([found.x_train, found.x_test])} == {tuple(row) for row in x}
    scaled = load("a.npz", tmp_path, Data(input_type="ufixed<9,1>", input_scale="1/4095"))
    assert set(np.unique(scaled.x_train)) <= set(np.unique(np.rint(x * 256 / 4095).astype(int)))


def test_a_stated_shape(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.integers(0, 256, (20, 12), np.uint8), y=np.arange(20) % 2)
    assert load("a.npz", tmp_path, Data(shape=(6, 2))).shape == (6, 2)
    assert "data.shape must have the 12 values of a sample" in refusal(
        ConfigError, load, "a.npz", tmp_path, Data(shape=(5, 2))
    )


def test_one_idx_file_finds_its_labels(tmp_path):
    x, y = RNG.integers(0, 256, (9, 4, 4), np.uint8), np.arange(9, dtype=np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(x))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(y))
    found = read(tmp_path / "t10k-images-idx3-ubyte").tested
    np.testing.assert_array_equal(found.values, x)
    np.testing.assert_array_equal(found.labels, y)


def test_cifar_and_svhn_as_their_makers_give_them(tmp_path):
    images, labels = RNG.integers(0, 256, (20, 32, 32, 3), np.uint8), (np.arange(20) % 10).astype(np.uint8)
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        planes = images.transpose(0, 3, 1, 2).reshape(20, -1)
        (tmp_path / name).write_bytes(np.concatenate([labels[:, np.newaxis], planes], axis=1).tobytes())
    found = load(tmp_path.name, tmp_path.parent)
    assert (found.names[3], found.x_train.shape) == ("cat", (100, 32, 32, 3))
    np.testing.assert_array_equal(found.x_test, images)
    np.testing.assert_array_equal(found.y_test, labels)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3000))
    assert refusal(DataError, load, tmp_path.name, tmp_path.parent) == (
        f"{tmp_path / 'test_batch.bin'} must hold records of 3,073 bytes (a label, 32 x 32 x 3 pixels), not 3,000 bytes"
    )
    (tmp_path / "svhn").mkdir()
    for part in ("train", "test"):
        mat = {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, np.newaxis]}
        savemat(tmp_path / "svhn" / f"{part}_32x32.mat", mat)
    found = load("svhn", tmp_path)
    np.testing.assert_array_equal(found.x_test, images)
    np.testing.assert_array_equal(found.y_test, labels)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object))
    assert refusal(DataError, read, tmp_path / "x.npy") == (
        f"{tmp_path / 'x.npy'} is not a readable .npy file: it holds Python objects (pickles), which are never loaded; "
        "store plain arrays"
    )


def test_options_replace_what_a_card_says(tmp_path, monkeypatch):
    write_csv(tmp_path / "a.csv", ROWS)
    monkeypatch.chdir(tmp_path)
    card = with_data(
        card_of({"data": {"bits": 4}}, folder=tmp_path / "elsewhere"), {"source": "a.csv", "label": "kind"}
    )
    assert load_data(card).input_type == FixedPoint(4, 0, signed=False)
    assert with_data(card, {}) is card
