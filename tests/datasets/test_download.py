"""Fashion-MNIST through Keras: what comes, and what is said where there is no network."""

import gzip
import sys

import keras
import numpy as np
import pytest

from fpgaml.card.toml import card_of
from fpgaml.datasets.dataset import load
from fpgaml.datasets.download import DOWNLOADS, download
from fpgaml.datasets.sources import load_data
from fpgaml.errors import DataError
from fpgaml.flow.engine import named_files

CLASSES = DOWNLOADS["fashion_mnist"].classes
CARD = {"data": {"source": "fashion_mnist"}}


def serve(monkeypatch, answer):
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", answer)


def arrays(classes=10):
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8)
    labels = (np.arange(50) % classes).astype(np.uint8)
    return (images[:30], labels[:30]), (images[30:], labels[30:])


def test_it_is_a_dataset_with_the_names_of_the_classes(monkeypatch, capsys):
    def answer():
        sys.stdout.write("Downloading data from here\n")
        return arrays()

    serve(monkeypatch, answer)
    found = load_data(card_of(CARD))
    (x_train, y_train), (x_test, y_test) = arrays()
    for ours, theirs in zip((found.x_train[..., 0], found.x_test[..., 0]), (x_train, x_test), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.y_train, y_train)
    np.testing.assert_array_equal(found.y_test, y_test)
    assert found.names == CLASSES
    assert (found.names[0], found.names[9], found.shape) == ("T-shirt/top", "Ankle boot", (28, 28, 1))
    assert capsys.readouterr() == ("", "Downloading data from here\n")  # standard output is for results


def test_some_classes_keep_their_names(monkeypatch):
    serve(monkeypatch, arrays)
    assert load_data(card_of({"data": {"source": "fashion_mnist", "classes": [6, 0]}})).names == CLASSES[6::-6]


def refusal(function, *arguments):
    with pytest.raises(DataError) as caught:
        function(*arguments)
    return str(caught.value)


def test_no_network(monkeypatch):
    reason = "URL fetch failure on https://example.org/train.gz: None -- [Errno -2] Name or service not known"

    def fail():
        raise Exception(reason)  # as Keras does

    serve(monkeypatch, fail)
    assert refusal(load_data, card_of(CARD)) == (
        f"fashion_mnist must be downloaded by Keras, which failed: {reason}. Without a network, set data.source to a "
        "folder with the IDX files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
        "t10k-labels-idx1-ubyte.gz, or to an .npz file of x_train, y_train, x_test, y_test"
    )


def test_a_damaged_download(monkeypatch):
    serve(monkeypatch, lambda: gzip.decompress(gzip.compress(b"images")[:-4]))
    assert refusal(download, "fashion_mnist") == (
        "fashion_mnist: what Keras downloaded before must be four whole .gz files, but is damaged (Compressed file "
        "ended before the end-of-stream marker was reached); remove datasets/fashion-mnist in ~/.keras (or "
        "$KERAS_HOME) to download it again"
    )


def test_another_number_of_classes(monkeypatch):
    serve(monkeypatch, lambda: arrays(classes=3))
    assert refusal(download, "fashion_mnist") == (
        "fashion_mnist: labels must be of the 10 classes T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, "
        "Sneaker, Bag, Ankle boot, not of 3"
    )


def test_the_core_does_not_download():
    assert refusal(load, "fashion_mnist") == (
        "fashion_mnist is downloaded by Keras, which dataset.load does without; use load_source"
    )


def test_its_digest_is_its_name():
    assert named_files(card_of(CARD), ["data"]) == {"data": "fashion_mnist"}
