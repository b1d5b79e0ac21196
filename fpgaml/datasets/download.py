"""Data sets that Keras downloads: once, into its own cache (~/.keras/datasets, or below $KERAS_HOME).

    fashion_mnist()      28 x 28 grey images of ten kinds of clothing: 60,000 to train, 10,000 to test, 30 MB

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747 (MIT licence, Zalando SE); class names are its
table 2, singular.
"""

from __future__ import annotations

import sys
import zlib
from contextlib import redirect_stdout
from gzip import BadGzipFile

import keras

from fpgaml.datasets.dataset import IDX_FILES, KEYS, Dataset, images
from fpgaml.errors import DataError

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def fashion_mnist() -> Dataset:
    """Return Fashion-MNIST, from Keras' cache if it was downloaded before.

    Raises: DataError if the download fails, or what was downloaded is damaged.
    """
    try:
        with redirect_stdout(sys.stderr):  # Keras shows how the download goes; standard output is for results
            train, test = keras.datasets.fashion_mnist.load_data()
    except (BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            "fashion_mnist: what Keras downloaded before must be four whole .gz files, but is damaged "
            f"({error}); remove datasets/fashion-mnist in ~/.keras (or $KERAS_HOME) to download it again"
        ) from error
    except Exception as error:  # Keras raises a plain Exception where the network fails
        files = ", ".join(f"{names[0]}.gz" for names in IDX_FILES.values())
        raise DataError(
            f"fashion_mnist must be downloaded by Keras, which failed: {error}. Without a network, set data.source to "
            f"a folder with the IDX files {files}, or to an .npz file of {', '.join(KEYS)}"
        ) from error
    return images(dict(zip(KEYS, (*train, *test), strict=True)), "fashion_mnist", CLASSES)
