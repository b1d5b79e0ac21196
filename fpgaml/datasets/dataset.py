"""Images and labels as integer codes, so that training and hardware see the same numbers.

    load("mnist")            the set in the package: x_train (60000, 28, 28, 1) uint8; load_source also downloads
    load("my.npz")           keys x_train, y_train, x_test, y_test
    load("folder")           IDX files as MNIST and Fashion-MNIST come, plain or .gz
    load("my.csv", data=card.data)    a table: features and a column of labels
    load("images.npz")       test images alone, as `save_codes` wrote them: codes of a stated type, perhaps labels

A `Dataset` holds codes and the `FixedPoint` type that says what they mean: a pixel is ``uint8 / 256``, type
``ufixed<8,0>``, exactly what the hardware gets. `Dataset.values` decodes; nothing else may scale the input.
Everything is checked once, here; what leaves this module is complete, finite and of one shape.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Data, Normalize
from fpgaml.datasets.tables import Preprocessing, read_csv
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import PIXEL, FixedPoint, code_type, grid, smallest

Array = NDArray[Any]

MAX_INPUT_BITS = 16  # of a feature that is not normalized


KEYS = ("x_train", "y_train", "x_test", "y_test")

# Sets that have a name of their own and never change, with the shape of one image.
NAMED: dict[str, tuple[int, ...]] = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}

# As LeCun named them, and as some mirrors do.
IDX_FILES = {
    "x_train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "y_train": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "x_test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Codes of images, shape (images, *shape), with labels 0 to classes - 1, shape (images,), for training and test.

    `names` are the labels as the source had them, or words: with classes 1 and 9 kept, label 0 stands for "1". Codes
    that `save_codes` wrote without labels have `names` and labels of length 0, and no training images.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    input_type: FixedPoint
    names: tuple[str, ...]
    preprocessing: Preprocessing | None = None  # of a table; None: the codes are the source's own

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, channels last."""
        return tuple(self.x_train.shape[1:])

    @property
    def labelled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.names)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    def values(self, codes: Array) -> NDArray[np.float32]:
        """Return the real values of `codes` as float32, exact for inputs of up to 24 bits."""
        return codes.astype(np.float32) * np.float32(self.input_type.step)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all arrays and the input type, as hex."""
        sha = hashlib.sha256(f"{self.input_type} {self.names} {self.preprocessing}".encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            sha.update(f"{array.dtype.str} {array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    def subset(self, classes: tuple[int, ...]) -> Dataset:
        """Return the images of some classes, relabelled 0, 1, ... in the order given.

        Raises: ConfigError if a class does not exist; DataError if no test image is of any of them.
        """
        for label in classes:
            if not 0 <= label < self.classes:
                raise ConfigError(f"data.classes must name labels 0 to {self.classes - 1}, not {label}")
        new = np.full(self.classes, -1)
        new[list(classes)] = np.arange(len(classes))
        train, test = new[self.y_train] >= 0, new[self.y_test] >= 0
        if not test.any():
            raise DataError(f"data.classes must have test images; there is none of {', '.join(map(str, classes))}")
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=new[self.y_train][train].astype(self.y_train.dtype),
            x_test=self.x_test[test],
            y_test=new[self.y_test][test].astype(self.y_test.dtype),
            names=tuple(self.names[label] for label in classes),
        )


def load(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the images of `source`: "mnist", an .npz or .csv file or a folder of IDX files, relative to `folder`.

    `data` says how a table is read; the defaults of a card if not given.

    Raises: DataError if a file is missing or damaged, images and labels do not fit, or it would have to be downloaded.
    """
    if source == "fashion_mnist":
        raise DataError("fashion_mnist is downloaded by Keras, which dataset.load does without; use load_source")
    if source == "mnist":
        path = Path(str(files("fpgaml").joinpath("data/mnist.npz")))
        return images(_read_npz(path), str(path))
    path = folder / source
    if path.is_dir():
        return images(_read_idx_folder(path), str(path))
    if path.suffix == ".npz":
        arrays = _read_npz(path)
        return images(arrays, str(path)) if "codes" not in arrays else _of_codes(arrays, str(path))
    if path.suffix == ".csv":
        return table(path, data or Data())
    wanted = "data.source must be 'mnist', 'fashion_mnist', an .npz or .csv file or a folder of IDX files"
    raise DataError(f"{wanted}, not {path}" if path.exists() else f"{wanted}; {path} does not exist")


def images(arrays: dict[str, Array], where: str, names: tuple[str, ...] = ()) -> Dataset:
    """Return a Dataset of uint8 images, shape (images, height, width) or (images, height, width, channels).

    `names` are words for the labels 0, 1, ...; the labels themselves if not given.

    Raises: DataError naming `where` if types, shapes, labels or names do not fit.
    """
    checked: dict[str, Array] = {}
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.ndim not in (3, 4):
            raise DataError(
                f"{where}: x_{part} must be uint8 images of shape (images, height, width) or "
                f"(images, height, width, channels), not {x.dtype} of shape {x.shape}"
            )
        if len(x) == 0 or 0 in x.shape:
            raise DataError(f"{where}: x_{part} must have at least one image, not shape {x.shape}")
        checked[f"x_{part}"] = x[..., np.newaxis] if x.ndim == 3 else x
        checked[f"y_{part}"] = _labels(y, len(x), f"{where}: y_{part}")
    shapes = checked["x_train"].shape[1:], checked["x_test"].shape[1:]
    if shapes[0] != shapes[1]:
        raise DataError(f"{where}: test images must have the shape {shapes[0]} of the training images, not {shapes[1]}")
    classes = _count_classes(checked["y_train"], checked["y_test"], where)
    if names and len(names) != classes:
        raise DataError(f"{where}: labels must be of the {len(names)} classes {', '.join(names)}, not of {classes}")
    names = names or tuple(map(str, range(classes)))
    x_train, y_train, x_test, y_test = (checked[key] for key in KEYS)
    return Dataset(x_train, y_train, x_test, y_test, input_type=PIXEL, names=names)


def _labels(y: Array, count: int, what: str) -> Array:
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{what} must be whole numbers, not {y.dtype}")
    if y.shape not in ((count,), (count, 1)):
        raise DataError(f"{what} must have one label for each of the {count} images, not shape {y.shape}")
    return y.reshape(-1)


def _count_classes(train: Array, test: Array, where: str) -> int:
    """Return how many classes there are. Raises: DataError unless the labels are 0, 1, ... without a gap."""
    present = np.unique(train)
    if present[0] != 0:
        raise DataError(f"{where}: labels must start at 0, not {present[0]}; number the classes 0, 1, 2, ...")
    beyond = np.flatnonzero(present != np.arange(len(present)))
    if beyond.size:
        raise DataError(
            f"{where}: labels must be 0 to {present[-1]} without gaps, but no training image has label {beyond[0]}; "
            "number the classes 0, 1, 2, ..."
        )
    if len(present) < 2:
        raise DataError(f"{where}: labels must be of two or more classes, not only {present[0]}")
    strange = np.setdiff1d(test, present)
    if strange.size:
        raise DataError(f"{where}: test labels must be among the training labels; {strange[0]} is not")
    return len(present)


def save_codes(path: Path, codes: Array, labels: Array | None, kind: FixedPoint) -> None:
    """Write test images as codes (images, *shape) of type `kind`, and their labels if there are any."""
    arrays = {"codes": codes.astype(code_type(kind)), "type": np.array(str(kind))}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **({} if labels is None else {"labels": labels}))


def _of_codes(arrays: dict[str, Array], where: str) -> Dataset:
    """Return what `save_codes` wrote."""
    codes, kind = arrays["codes"], FixedPoint.parse(str(arrays["type"]))
    labels = arrays.get("labels", np.zeros(0, np.int64))
    if not kind.holds(codes):
        raise DataError(f"{where}: codes from {codes.min()} to {codes.max()} are no codes of {kind}")
    names = tuple(map(str, range(int(labels.max()) + 1))) if labels.size else ()
    return Dataset(codes[:0], labels[:0], codes, labels, input_type=kind, names=names)


def table(path: Path, data: Data) -> Dataset:
    """Return the Dataset of a CSV file: a row of names, then numbers; the column `data.label` holds the class.

    Each class is split by `data.test_fraction` after a shuffle by `data.seed`.

    Raises: DataError naming row and column of what is no number; ConfigError if there is no such label column.
    """
    features, values, labels = read_csv(path, data.label)
    classes = _count_classes(labels, labels, str(path))
    rng = np.random.default_rng(data.seed)
    test = np.zeros(len(labels), bool)
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = max(1, round(len(rows) * data.test_fraction))
        if count >= len(rows):
            raise DataError(f"{path}: class {label} must have samples to train and to test, but has {len(rows)}")
        test[rows[:count]] = True
    steps = Preprocessing.fit(data.normalize, data.bits, features, values[~test])
    kind = FixedPoint(data.bits, 0, signed=False)
    if data.normalize is Normalize.NONE:
        codes, fraction = grid(values)
        kind = smallest(int(codes.min()), int(codes.max()), fraction)
        if kind.width > MAX_INPUT_BITS:
            raise DataError(
                f"{path}: values need {kind.width} bits to be exact, more than {MAX_INPUT_BITS}; set data.normalize to "
                "'feature' or 'sample'"
            )
        steps = replace(steps, bits=kind.width, scale=(2.0**fraction,))
    small = np.uint8 if not kind.signed and kind.width <= 8 else np.int32
    return Dataset(
        x_train=steps.codes(values[~test]).astype(small),
        y_train=labels[~test],
        x_test=steps.codes(values[test]).astype(small),
        y_test=labels[test],
        input_type=kind,
        names=tuple(map(str, range(classes))),
        preprocessing=steps,
    )


def _read_npz(path: Path) -> dict[str, Array]:
    """Read the four arrays of an .npz file, or those of `save_codes`."""
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as file:
            if {"codes", "type"} <= set(file.files):
                return {key: file[key] for key in file.files}
            missing = [key for key in KEYS if key not in file.files]
            if missing:
                raise DataError(f"{path} must hold {', '.join(KEYS)}; {missing[0]} is missing")
            return {key: file[key] for key in KEYS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error


def _read_idx_folder(folder: Path) -> dict[str, Array]:
    """Read the four IDX files of a folder, each plain or with .gz."""
    arrays: dict[str, Array] = {}
    for key, names in IDX_FILES.items():
        found = [folder / (name + end) for name in names for end in ("", ".gz") if (folder / (name + end)).is_file()]
        if not found:
            raise DataError(f"{folder} must hold the IDX file {names[0]} or {names[0]}.gz; it does not")
        arrays[key] = read_idx(found[0])
    return arrays


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the uint8 array of an IDX file, plain or gzipped.

    Source: http://yann.lecun.com/exdb/mnist/: two zero bytes, the type (8: unsigned byte), the number of axes, each
    size as a big-endian 32-bit number, then the data row-major.
    Raises: DataError if the file is damaged or of another type.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or len(raw) < 4 + 4 * raw[3]:
        raise DataError(
            f"{path} must be an IDX file of unsigned bytes; its first bytes are {raw[:4].hex(' ') or 'none'}"
        )
    axes = raw[3]
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", axes, 4))
    wanted, found = int(np.prod(shape, dtype=np.int64)), len(raw) - 4 - 4 * axes
    if found != wanted:
        raise DataError(f"{path} must hold {wanted} bytes of data for its shape {shape}, not {found}; is it cut off?")
    return np.frombuffer(raw, np.uint8, wanted, 4 + 4 * axes).reshape(shape)
