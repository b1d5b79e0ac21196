"""Data sets that Keras downloads: once, into its own cache (~/.keras/datasets, or below $KERAS_HOME).

    download("fashion_mnist")      28 x 28 grey images of ten kinds of clothing: 60,000 to train, 10,000 to test, 30 MB
    download("cifar10")            32 x 32 colour images of ten kinds of things: 50,000 to train, 10,000 to test, 170 MB

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747 (MIT licence, Zalando SE); class names are its
table 2, singular. A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import sys
import zlib
from contextlib import redirect_stdout
from gzip import BadGzipFile
from pickle import UnpicklingError
from tarfile import TarError
from typing import NamedTuple

import keras

from fpgaml.datasets.dataset import Dataset, images
from fpgaml.datasets.files import CIFAR_FILES, CIFAR_NAMES, IDX_FILES, KEYS
from fpgaml.errors import DataError


class Download(NamedTuple):
    """A set of Keras' by its name there: what it caches and where, what a folder may hold instead, the classes."""

    cached: str
    place: str
    local: str
    classes: tuple[str, ...]


DOWNLOADS = {
    "fashion_mnist": Download(
        "four whole .gz files",
        "datasets/fashion-mnist",
        "the IDX files " + ", ".join(f"{names[0]}.gz" for names in IDX_FILES.values()),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": Download(
        "a whole archive",
        "datasets/cifar-10-batches-py*",
        "the binary files " + ", ".join((*CIFAR_FILES["train"], *CIFAR_FILES["test"])),
        CIFAR_NAMES,
    ),
}


def download(name: str) -> Dataset:
    """Return a set of DOWNLOADS, from Keras' cache if it was downloaded before.

    Raises: DataError if the download fails, or what was downloaded is damaged.
    """
    known = DOWNLOADS[name]
    try:
        with redirect_stdout(sys.stderr):  # Keras shows how the download goes; standard output is for results
            train, test = getattr(keras.datasets, name).load_data()
    except (BadGzipFile, EOFError, zlib.error, ValueError, TarError, UnpicklingError) as error:
        raise DataError(
            f"{name}: what Keras downloaded before must be {known.cached}, but is damaged "
            f"({error}); remove {known.place} in ~/.keras (or $KERAS_HOME) to download it again"
        ) from error
    except Exception as error:  # Keras raises a plain Exception where the network fails
        raise DataError(
            f"{name} must be downloaded by Keras, which failed: {error}. Without a network, set data.source to "
            f"a folder with {known.local}, or to an .npz file of {', '.join(KEYS)}"
        ) from error
    return images(dict(zip(KEYS, (*train, *test), strict=True)), name, known.classes)
