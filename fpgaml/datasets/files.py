"""What a file of data holds, before it becomes codes: one reader for cards and commands alike.

    read(Path("pulses.csv"), "class")          a table: a row of names, then one row a sample
    read(Path("images.npz"))                   x_train, y_train, x_test, y_test; or x_test, y_test; or x, y
    read(Path("images.npy"), "labels.npy")     samples, and labels in a file of their own if one is named
    read(Path("t10k-images-idx3-ubyte.gz"))    an IDX file, with the file of its labels beside it
    read(Path("train_32x32.mat"))              SVHN's form
    read(Path("folder"))                       the IDX files of MNIST, CIFAR-10's binary files, or SVHN's two .mat files

Nothing is scaled here, and nothing is unpickled: values are what the file says, labels numbers or words.
"""

from __future__ import annotations

import csv
import gzip
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError, DataError, nearest
from fpgaml.ir.fixed import Array

KEYS = ("x_train", "y_train", "x_test", "y_test")
VALUES = ("x", "X", "images", "data")  # names of arrays in an .npz file that is not divided, or x_test alone
LABELS = ("y", "Y", "labels", "label", "target")
KINDS = "an .npz, .npy, .csv, IDX or .mat file, or a folder of IDX, CIFAR-10 or SVHN files"
SEPARATORS = ",;\t"
LARGEST = 1e100  # number of a table: far from where differences and products overflow

# As LeCun named them, and as some mirrors do.
IDX_FILES = {
    "x_train": ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    "y_train": ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    "x_test": ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
}
CIFAR_FILES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
CIFAR_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


@dataclass(frozen=True, eq=False)
class Samples:
    """Values (samples, *shape), and one label each, numbers or words (samples,); None if there are no labels."""

    values: Array
    labels: Array | None


@dataclass(frozen=True, eq=False)
class Contents:
    """Samples to learn from, and samples to test with; a file that is not divided has the former only, or the latter.

    features: the columns of a table. names: words for the labels 0, 1, ... where the kind of file has them.
    extra: what else an .npz file holds that fpgaml wrote.
    """

    where: str
    train: Samples | None
    test: Samples | None
    features: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    extra: dict[str, Array] = field(default_factory=dict)

    @property
    def tested(self) -> Samples:
        """The samples to test with: those of the file's own, or all of one that is not divided."""
        found = self.test or self.train
        assert found is not None
        return found


def read(path: Path, label: str | None = None, features: Sequence[str] = ()) -> Contents:
    """Return what `path` holds; `label` names the column, the array or the file of the labels.

    Of a table only the columns `features` are read, in this order, if any are named.

    Raises: DataError if it is missing, damaged or of another kind; ConfigError if there is no such label.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise DataError(f"data file {path} does not exist")
    kind = path.name.removesuffix(".gz")
    match Path(kind).suffix.lower():
        case ".csv" | ".tsv":
            return read_csv(path, label, features)
        case ".npz":
            return _npz(path, label)
        case ".npy":
            return Contents(
                str(path), Samples(read_npy(path), None if label is None else _label_file(path, label)), None
            )
        case ".mat":
            return Contents(str(path), _svhn(path), None)
        case _ if "ubyte" in kind:
            return _idx_pair(path)
    raise DataError(f"{path} must be {KINDS}")


# --- tables ---------------------------------------------------------------------------------------------------------


def read_csv(path: Path, label: str | None = None, features: Sequence[str] = ()) -> Contents:
    """Return a table: a row of names, then rows of numbers; the column `label` holds the class, a number or a word.

    Without `label` there are no labels, unless a column is called "label". Without `features` all others are features.
    Columns are divided by commas, semicolons or tabs, whichever the row of names has most of.

    Raises: DataError naming row and column of what is no number; ConfigError if there is no column of a name.
    """
    names, rows = table_rows(path)
    column = label or ("label" if "label" in names else None)
    for key, wanted in (("label", [column] if column is not None else []), ("features", features)):
        for name in wanted:
            if name not in names:
                raise ConfigError(f"data.{key}: {path} has no column {name!r}{nearest(name, names)}")
    if column in features:
        raise ConfigError(f"data.features: {path} has the classes in column {column!r}, which cannot be a feature too")
    features = tuple(features) or tuple(name for name in names if name != column)
    if not features:
        raise DataError(f"{path} must have at least one column beside {column!r}")
    values = np.empty((len(rows), len(features)))
    words: list[str] = []
    for number, row in enumerate(rows):
        where = f"{path}, row {number + 2}"
        if len(row) != len(names):
            raise DataError(f"{where} must have {len(names)} columns, not {len(row)}")
        cells = dict(zip(names, row, strict=True))
        if column is not None:
            words.append(cells[column].strip())
        values[number] = [_number(cells[name], f"{where}, column {name!r}") for name in features]
    labels = None if column is None else _classes(words, f"{path}, row {{}}, column {column!r}")
    return Contents(str(path), Samples(values, labels), None, tuple(features))


def table_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of a table's columns and its rows as text. Raises: DataError without a row of names."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        lines = text.splitlines(keepends=True)
        separator = max(SEPARATORS, key=lines[0].count) if lines else ","
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{path} must have a row of column names and rows of numbers; it has {len(rows)} row(s)")
    names = [name.strip() for name in rows[0]]
    twice = [name for name in names if names.count(name) > 1]
    if all(map(is_number, names)):
        raise DataError(
            f"{path} must begin with a row of column names, but its first row is {len(names)} numbers; write names "
            "above it"
        )
    if twice:
        raise DataError(
            f"{path} must have columns of different names; {twice[0]!r} is there {names.count(twice[0])} times"
        )
    return names, rows[1:]


def is_number(text: str) -> bool:
    """Return whether `text` is written as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        comma = "," in text and is_number(text.replace(",", ".", 1))
        raise DataError(
            f"{where} must be a number, not {text!r}" + ("; write decimals with a point" if comma else "")
        ) from None
    if not math.isfinite(number):
        raise DataError(f"{where} must be a finite number, not {text!r}")
    if abs(number) > LARGEST:
        raise DataError(f"{where} must be a number of at most {LARGEST:g} in size, not {text!r}")
    return number


def _classes(words: Sequence[str], where: str) -> Array:
    """Return the labels of a table: whole numbers if all are numbers, else words. `where` takes the row."""
    if "" in words:
        raise DataError(f"{where.format(words.index('') + 2)} must be a class, not ''")
    if not all(map(is_number, words)):
        return np.array(words)
    labels = np.empty(len(words), np.int64)
    for number, word in enumerate(words):
        place = where.format(number + 2)
        value = _number(word, place)
        if value != int(value) or abs(value) >= 2**31:
            raise DataError(f"{place} must be a whole number, the class, not {word!r}")
        labels[number] = int(value)
    return labels


# --- arrays ---------------------------------------------------------------------------------------------------------


def _npz(path: Path, label: str | None) -> Contents:
    """Return the arrays of an .npz file that are samples and labels."""
    arrays = read_npz(path)
    where = str(path)
    if {"codes", "type"} <= set(arrays):  # as save_codes wrote it
        return Contents(where, None, Samples(arrays["codes"], arrays.get("labels")), extra=arrays)
    if "x_train" in arrays:
        missing = [key for key in KEYS if key not in arrays]
        if missing and missing != ["x_test", "y_test"]:
            raise DataError(f"{path} must hold {', '.join(KEYS)}; {missing[0]} is missing")
        parts = [
            Samples(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test") if f"x_{part}" in arrays
        ]
        return Contents(where, parts[0], parts[1] if len(parts) > 1 else None)
    if label is not None and label not in arrays and not Path(label).suffix:
        raise ConfigError(f"data.label: {path} has no array {label!r}{nearest(label, arrays)}")
    named = _label_file(path, label) if label is not None and label not in arrays else None
    key = next((key for key in ("x_test", "X_test", *VALUES) if key in arrays), None)
    if key is None:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"{path} must hold {', '.join(KEYS)}, or x and y; it holds {held}")
    own = next((name for name in (label, "y_test", "Y_test", *LABELS) if name in arrays), None)
    samples = Samples(arrays[key], arrays[own] if own is not None else named)
    return Contents(where, None, samples) if key.endswith("_test") else Contents(where, samples, None)


def read_npz(path: Path) -> dict[str, Array]:
    """Return all arrays of an .npz file. Raises: DataError if it cannot be read without running code of its own."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise DataError(f"{path} is not a readable .npz file: {_plainly(error)}") from error


def read_npy(path: Path) -> Array:
    """Return the array of an .npy file. Raises: DataError as `read_npz`."""
    try:
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise ValueError("its first bytes are another kind's")
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npy file: {_plainly(error)}") from error
    return found


def _plainly(error: Exception) -> str:
    """Say in words of ours what numpy says about pickles."""
    text = str(error)
    return "it holds Python objects (pickles), which are never loaded; store plain arrays" if "pickle" in text else text


def _label_file(beside: Path, label: str) -> Array:
    """Return labels from a file of their own, named relative to the samples' file."""
    path = beside.parent / label
    if not path.is_file():
        raise DataError(f"label file {path} does not exist; name an .npy file of labels beside {beside.name}")
    return read_idx(path) if "ubyte" in path.name else read_npy(path)


# --- images as others keep them -------------------------------------------------------------------------------------


def _folder(folder: Path) -> Contents:
    if (folder / CIFAR_FILES["test"][0]).is_file():
        parts = [_cifar([folder / name for name in CIFAR_FILES[part]]) for part in ("train", "test")]
        return Contents(str(folder), parts[0], parts[1], names=CIFAR_NAMES)
    if (folder / SVHN_FILES["test"]).is_file():
        parts = [_svhn(folder / SVHN_FILES[part]) for part in ("train", "test")]
        return Contents(str(folder), parts[0], parts[1])
    arrays = _idx_folder(folder)
    parts = [Samples(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    return Contents(str(folder), parts[0], parts[1])


def _idx_folder(folder: Path) -> dict[str, Array]:
    """Read the four IDX files of a folder, each plain or with .gz."""
    arrays: dict[str, Array] = {}
    for key, names in IDX_FILES.items():
        found = [folder / (name + end) for name in names for end in ("", ".gz") if (folder / (name + end)).is_file()]
        if not found:
            raise DataError(f"{folder} must hold the IDX file {names[0]} or {names[0]}.gz; it does not")
        arrays[key] = read_idx(found[0])
    return arrays


def _idx_pair(path: Path) -> Contents:
    """Return the images of one IDX file with the labels of the file beside it, if there is one."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    beside = [path.with_name(name + end) for end in ("", ".gz") if name not in path.name]
    labels = next((read_idx(one) for one in beside if one.is_file()), None)
    return Contents(str(path), Samples(read_idx(path), labels), None)


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


def _cifar(paths: Sequence[Path]) -> Samples:
    """Return the images (images, 32, 32, 3) of CIFAR-10's binary files.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html: records of a label and 3,072 bytes, red, green and blue planes.
    """
    records: list[Array] = []
    for path in paths:
        if not path.is_file():
            raise DataError(
                f"{path} does not exist; CIFAR-10's binary version has data_batch_1.bin to 5 and test_batch.bin"
            )
        raw = np.fromfile(path, np.uint8)
        if raw.size == 0 or raw.size % 3073:
            raise DataError(
                f"{path} must hold records of 3,073 bytes (a label, 32 x 32 x 3 pixels), not {raw.size:,} bytes"
            )
        records.append(raw.reshape(-1, 3073))
    every = np.concatenate(records)
    return Samples(every[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), every[:, 0].astype(np.int64))


def _svhn(path: Path) -> Samples:
    """Return the images (images, 32, 32, 3) of one of SVHN's .mat files.

    Source: http://ufldl.stanford.edu/housenumbers/: X (32, 32, 3, images), y from 1 to 10, where 10 is the digit 0.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        found = loadmat(path, variable_names=("X", "y"))
        images, labels = found["X"], found["y"]
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MatReadError) as error:
        raise DataError(
            f"{path} must be a .mat file with X (height, width, channels, images) and y: {error}"
        ) from error
    if images.ndim != 4:
        raise DataError(f"{path}: X must have shape (height, width, channels, images), not {images.shape}")
    return Samples(images.transpose(3, 0, 1, 2).copy(), labels.reshape(-1).astype(np.int64) % 10)
