"""Images and labels as integer codes, so that training and hardware see the same numbers.

    load("mnist")            the set in the package: x_train (60000, 28, 28, 1) uint8
    load("my.npz")           keys x_train, y_train, x_test, y_test
    load("folder")           IDX files as MNIST and Fashion-MNIST come, plain or .gz
    load("my.csv", data=card.data)    a table: features and a column of labels

A `Dataset` holds codes and the `FixedPoint` type that says what they mean: a pixel is ``uint8 / 256``, type
``ufixed<8,0>``, exactly what the hardware gets. `Dataset.values` decodes; nothing else may scale the input.
Everything is checked once, here; what leaves this module is complete, finite and of one shape.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError, DataError, nearest
from fpgaml.fixed import FixedPoint, Floats, grid, smallest
from fpgaml.runcard import Data, Normalize

Array = NDArray[Any]

MAX_INPUT_BITS = 16  # of a feature that is not normalized

PIXEL = FixedPoint(8, 0, signed=False)

KEYS = ("x_train", "y_train", "x_test", "y_test")

# As LeCun named them, and as some mirrors do.
IDX_FILES = {
    "x_train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "y_train": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "x_test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}


@dataclass(frozen=True)
class Preprocessing:
    """How the features of a table became codes, so that a board can be fed in the same way.

    Of each feature: ``code = clip(rint((x - offset) * scale), 0, 2**bits - 1)``. By sample, offset and scale are the
    sample's own least value and ``(2**bits - 1) / range``. Not normalized, the codes are ``x * scale``, exact.
    """

    normalize: Normalize
    bits: int
    features: tuple[str, ...]
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def codes(self, values: Array) -> NDArray[np.int32]:
        """Return the codes of real `values` (samples, features). Raises: DataError if values are not on the grid."""
        array = np.asarray(values, np.float64)
        match self.normalize:
            case Normalize.NONE:
                scaled = array * self.scale[0]
                if (scaled != np.rint(scaled)).any():
                    raise DataError(f"values must be multiples of {1 / self.scale[0]:g}, the grid of the training set")
                return np.asarray(scaled, np.int32)
            case Normalize.FEATURE:
                scaled = (array - np.array(self.offset)) * np.array(self.scale)
            case Normalize.SAMPLE:
                low = array.min(axis=1, keepdims=True)
                scaled = (array - low) * _inverse(array.max(axis=1, keepdims=True) - low, self.bits)
        return np.asarray(np.clip(np.rint(scaled), 0, (1 << self.bits) - 1), np.int32)

    @classmethod
    def fit(cls, normalize: Normalize, bits: int, features: tuple[str, ...], values: Array) -> Preprocessing:
        """Return the preprocessing that brings training `values` (samples, features) to a grid of `bits` bits."""
        match normalize:
            case Normalize.NONE:
                _, fraction = grid(values)
                return cls(normalize, bits, features, scale=(2.0**fraction,))
            case Normalize.FEATURE:
                low = values.min(axis=0)
                scale = _inverse(values.max(axis=0) - low, bits)
                return cls(normalize, bits, features, tuple(map(float, low)), tuple(map(float, scale)))
            case Normalize.SAMPLE:
                return cls(normalize, bits, features)


def _inverse(span: Array, bits: int) -> Array:
    """Return codes a unit for features of range `span`; 0 for one that never changes."""
    most = (1 << bits) - 1
    return np.divide(most, span, out=np.zeros_like(span, np.float64), where=span > 0)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Codes of images, shape (images, *shape), with labels 0 to classes - 1, shape (images,), for training and test.

    `names` are the labels as the source had them: with classes 1 and 9 kept, label 0 stands for "1".
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

        Raises: ConfigError if a class does not exist.
        """
        for label in classes:
            if not 0 <= label < self.classes:
                raise ConfigError(f"data.classes must name labels 0 to {self.classes - 1}, not {label}")
        new = np.full(self.classes, -1)
        new[list(classes)] = np.arange(len(classes))
        train, test = new[self.y_train] >= 0, new[self.y_test] >= 0
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=new[self.y_train][train].astype(np.uint8),
            x_test=self.x_test[test],
            y_test=new[self.y_test][test].astype(np.uint8),
            names=tuple(self.names[label] for label in classes),
        )


def load(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the images of `source`: "mnist", an .npz or .csv file or a folder of IDX files, relative to `folder`.

    `data` says how a table is read; the defaults of a card if not given.

    Raises: DataError if a file is missing or damaged, or images and labels do not fit.
    """
    if source == "mnist":
        path = Path(str(files("fpgaml").joinpath("data/mnist.npz")))
        return images(_read_npz(path), str(path))
    path = folder / source
    if path.is_dir():
        return images(_read_idx_folder(path), str(path))
    if path.suffix == ".npz":
        return images(_read_npz(path), str(path))
    if path.suffix == ".csv":
        return table(path, data or Data())
    wanted = "data.source must be 'mnist', an .npz or .csv file or a folder of IDX files"
    raise DataError(f"{wanted}, not {path}" if path.exists() else f"{wanted}; {path} does not exist")


def images(arrays: dict[str, Array], where: str) -> Dataset:
    """Return a Dataset of uint8 images, shape (images, height, width) or (images, height, width, channels).

    Raises: DataError naming `where` if types, shapes or labels do not fit.
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
    names = tuple(map(str, range(classes)))
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
        raise DataError(f"{where}: labels must start at 0, not {present[0]}")
    gaps = np.setdiff1d(np.arange(present[-1] + 1), present) if present[-1] < 10_000 else present[-1:]
    if gaps.size:
        raise DataError(
            f"{where}: labels must be 0 to {present[-1]} without gaps; no training image has label {gaps[0]}"
        )
    if len(present) < 2:
        raise DataError(f"{where}: labels must be of two or more classes, not only {present[0]}")
    strange = np.setdiff1d(test, present)
    if strange.size:
        raise DataError(f"{where}: test labels must be among the training labels; {strange[0]} is not")
    return len(present)


def table(path: Path, data: Data) -> Dataset:
    """Return the Dataset of a CSV file: a row of names, then numbers; the column `data.label` holds the class.

    Each class is split by `data.test_fraction` after a shuffle by `data.seed`.

    Raises: DataError naming row and column of what is no number; ConfigError if there is no such label column.
    """
    features, values, labels = _read_csv(path, data.label)
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


def _read_csv(path: Path, label: str) -> tuple[tuple[str, ...], Floats, NDArray[np.int64]]:
    """Return the feature names, values (samples, features) and labels of a CSV file."""
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{path} must have a row of column names and rows of numbers; it has {len(rows)} row(s)")
    names = [name.strip() for name in rows[0]]
    if label not in names:
        raise ConfigError(f"data.label: {path} has no column {label!r}{nearest(label, names)}")
    at = names.index(label)
    if len(names) < 2:
        raise DataError(f"{path} must have at least one column beside {label!r}")
    values = np.empty((len(rows) - 1, len(names) - 1))
    labels = np.empty(len(rows) - 1, np.int64)
    for number, row in enumerate(rows[1:]):
        where = f"{path}, row {number + 2}"
        if len(row) != len(names):
            raise DataError(f"{where} must have {len(names)} columns, not {len(row)}")
        numbers = [_number(text, f"{where}, column {name!r}") for name, text in zip(names, row, strict=True)]
        if numbers[at] != int(numbers[at]):
            raise DataError(f"{where}, column {label!r} must be a whole number, not {row[at]!r}")
        labels[number] = int(numbers.pop(at))
        values[number] = numbers
    return tuple(name for name in names if name != label), values, labels


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"{where} must be a number, not {text!r}") from None
    if not math.isfinite(number):
        raise DataError(f"{where} must be a finite number, not {text!r}")
    return number


def _read_npz(path: Path) -> dict[str, Array]:
    """Read the four arrays of an .npz file."""
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as file:
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
