"""Samples and labels as integer codes, so that training and hardware see the same numbers.

    load("mnist")            the set in the package: x_train (60000, 28, 28, 1) uint8; load_source also downloads
    load("my.npz")           keys x_train, y_train, x_test, y_test; whatever files.py reads
    load("my.csv", data=card.data)    a table: features and a column of labels
    load("images.npz")       test images alone, as `save_codes` wrote them: codes of a stated type, perhaps labels

A `Dataset` holds codes and the `FixedPoint` type that says what they mean: a pixel is ``uint8 / 256``, type
``ufixed<8,0>``, exactly what the hardware gets. `Dataset.values` decodes; nothing else may scale the input.
Everything is checked once, here; what leaves this module is complete, finite and of one shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Data
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.files import KINDS, Contents, Samples, is_number, read, read_npz
from fpgaml.datasets.inputs import coded, given_codes, shaped
from fpgaml.datasets.raw import RawRows
from fpgaml.errors import ConfigError, DataError, nearest
from fpgaml.ir.fixed import Array, FixedPoint, code_type

NUMBERED = "number the classes 0, 1, 2, ..., or name them in data.classes"
# Sets that have a name of their own and never change, with the shape of one image.
NAMED: dict[str, tuple[int, ...]] = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Codes of images, shape (images, *shape), with labels 0 to classes - 1, shape (images,), for training and test.

    `names` are the labels as the source had them, or words: with classes 1 and 9 kept, label 0 stands for "1". Codes
    that `save_codes` wrote without labels have `names` and labels of length 0, and no training images. The last
    `validation` training samples are held out of training, if the source says which these are.

    `encoding` made codes of raw rows; `raw_test` are the raw rows of the test images, None where they are the very same
    numbers, or were not kept.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    input_type: FixedPoint
    names: tuple[str, ...]
    validation: int = 0
    encoding: Encoding | None = None
    raw_test: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image, channels last."""
        return tuple(self.x_train.shape[1:])

    @property
    def noun(self) -> str:
        """What one of them is called: an image has height, width and channels."""
        return "image" if len(self.shape) == 3 else "sample"

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
        held = self.validation or ""
        sha = hashlib.sha256(f"{self.input_type} {self.names} {self.encoding}{held}".encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            sha.update(f"{array.dtype.str} {array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    def encode(self, rows: Any) -> NDArray[np.int64]:
        """Return the codes of raw `rows`, as training had them. Raises: DataError for what cannot be encoded."""
        try:
            return self._encoding().codes(rows)
        except ValueError as error:
            raise DataError(str(error)) from error

    def raw(self, count: int) -> RawRows:
        """Return the first `count` test images as the source has them, with what a board must know of them."""
        rows = self.x_test if self.raw_test is None else self.raw_test
        if self.raw_test is None and self._encoding().kind not in ("codes", "pixels"):
            raise DataError("the raw rows of these images were not kept")
        return RawRows(rows[:count], self.y_test[:count].astype(np.int64), self.names, self._encoding())

    def _encoding(self) -> Encoding:
        if self.encoding is None:
            raise DataError("these images are codes, and nobody recorded how raw rows become such")
        return self.encoding

    def subset(self, classes: Sequence[int | str]) -> Dataset:
        """Return the images of some classes, relabelled 0, 1, ... in the order given.

        A class is given by its label in the source, or by number where the labels are words.
        Raises: ConfigError if a class does not exist; DataError if no test image is of any of them.
        """
        kept = [self._class(label) for label in classes]
        new = np.full(self.classes, -1)
        new[kept] = np.arange(len(kept))
        train, test = new[self.y_train] >= 0, new[self.y_test] >= 0
        if not test.any():
            raise DataError(f"data.classes must have test images; there is none of {', '.join(map(str, classes))}")
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=new[self.y_train][train].astype(self.y_train.dtype),
            x_test=self.x_test[test],
            y_test=new[self.y_test][test].astype(self.y_test.dtype),
            names=tuple(self.names[label] for label in kept),
            validation=int(train[len(train) - self.validation :].sum()),
            raw_test=None if self.raw_test is None else self.raw_test[test],
        )

    def _class(self, label: int | str) -> int:
        """Return the number of a class by its label. Raises: ConfigError."""
        if str(label) in self.names:
            return self.names.index(str(label))
        if isinstance(label, int) and 0 <= label < self.classes and not any(map(is_number, self.names)):
            return label
        counted = self.names == tuple(map(str, range(self.classes)))
        known = f"labels 0 to {self.classes - 1}" if counted else f"classes among {', '.join(self.names)}"
        raise ConfigError(f"data.classes must name {known}, not {label}")


def load(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the samples of `source`: "mnist", or whatever `files.read` takes, relative to `folder`.

    `data` says what the labels are, how values become codes, and what is held out; the defaults of a card if not given.

    Raises: DataError if a file is missing or damaged, samples and labels do not fit, or it would have to be downloaded.
    """
    if source == "mnist":
        path = Path(str(files("fpgaml").joinpath("data/mnist.npz")))
        return images(read_npz(path), str(path))
    if source in NAMED:
        raise DataError(f"{source} is downloaded by Keras, which dataset.load does without; use load_source")
    path = folder / source
    if not path.suffix and not path.exists() and "ubyte" not in path.name:
        wanted = f"data.source must be {', '.join(map(repr, NAMED))}, {KINDS}"
        raise DataError(f"{wanted}; {path} does not exist{nearest(source, NAMED)}")
    given = data or Data()
    contents = read(path, _label_of(given), given.features)
    if "type" in contents.extra:
        return _of_codes(contents.extra, contents.where)
    parts = {
        "train": contents.train,
        "test": _beside(given.test, folder, given, contents) if given.test else contents.test,
        "validation": _beside(given.validation, folder, given, contents) if given.validation else None,
    }
    return of_samples({name: one for name, one in parts.items() if one is not None}, given, contents)


def _label_of(data: Data) -> str | None:
    """Return the label that a card names; None for the default, which a file need not have."""
    return data.label if data.label != Data.model_fields["label"].default else None


def _beside(name: str, folder: Path, data: Data, first: Contents) -> Samples:
    """Return the samples of another file, with its columns in the order of the first. Raises: DataError."""
    other = read(folder / name, _label_of(data), data.features)
    found = other.tested
    if other.features == first.features:
        return found
    if sorted(other.features) != sorted(first.features):
        raise DataError(
            f"{other.where} must have the columns of {first.where}, {', '.join(first.features) or 'an array'}; it has "
            f"{', '.join(other.features) or 'an array'}"
        )
    return Samples(found.values[:, [other.features.index(name) for name in first.features]], found.labels)


def of_samples(parts: Mapping[str, Samples], data: Data, contents: Contents) -> Dataset:
    """Return the Dataset of samples as files have them: "train", and perhaps "test" and "validation".

    Without "test", a share of each class is held out. Raises: DataError if they do not fit; ConfigError.
    """
    where, first = contents.where, parts.get("train")
    if first is None:
        raise DataError(f"{where} holds samples to test with alone; to learn from it must have x_train and y_train")
    for name, samples in parts.items():
        _check_samples(samples, f"{where}: x_{name}", first)
    labels, names = _labelled(parts, contents, chosen=bool(data.classes))
    values = {name: samples.values for name, samples in parts.items()}
    if "test" not in parts:
        test = _held_out(labels["train"], len(names), data, where)
        values |= {"train": first.values[~test], "test": first.values[test]}
        labels |= {"train": labels["train"][~test], "test": labels["train"][test]}
    inputs = coded([_with_channels(array, data) for array in values.values()], data, contents.features, where)
    codes = {
        name: shaped(part, data.shape, where) if data.shape else part
        for name, part in zip(values, inputs.parts, strict=True)
    }
    learn = [name for name in ("train", "validation") if name in codes]
    return Dataset(
        x_train=np.concatenate([codes[name] for name in learn]) if len(learn) > 1 else codes["train"],
        y_train=np.concatenate([labels[name] for name in learn]) if len(learn) > 1 else labels["train"],
        x_test=codes["test"],
        y_test=labels["test"],
        input_type=inputs.kind,
        names=names,
        validation=len(codes["validation"]) if "validation" in codes else 0,
        encoding=inputs.encoding,
        raw_test=values["test"],
    )


def images(arrays: dict[str, Array], where: str, names: tuple[str, ...] = ()) -> Dataset:
    """Return a Dataset of uint8 images, shape (images, height, width) or (images, height, width, channels).

    `names` are words for the labels 0, 1, ...; the labels themselves if not given.

    Raises: DataError naming `where` if types, shapes, labels or names do not fit.
    """
    parts = {part: Samples(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}
    for part, samples in parts.items():
        x = samples.values
        if x.dtype != np.uint8 or x.ndim not in (3, 4):
            raise DataError(
                f"{where}: x_{part} must be uint8 images of shape (images, height, width) or "
                f"(images, height, width, channels), not {x.dtype} of shape {x.shape}"
            )
    return of_samples(parts, Data(), Contents(where, parts["train"], parts["test"], names=names))


def _check_samples(samples: Samples, what: str, first: Samples) -> None:
    """Refuse what has no samples, or samples of another shape than the first."""
    x, y = samples.values, first.values
    if x.ndim < 2 or 0 in x.shape:
        raise DataError(f"{what} must have at least one {noun(x.shape[1:])}, not shape {x.shape}")
    if x.shape[1:] != y.shape[1:]:
        part, shapes = what.rpartition("x_")[2], [_with_channels(one, Data()).shape[1:] for one in (y, x)]
        raise DataError(
            f"{what.rpartition(': ')[0]}: {part} {noun(y.shape[1:])}s must have the shape {shapes[0]} of the training "
            f"{noun(y.shape[1:])}s, not {shapes[1]}"
        )
    if x.dtype.kind != y.dtype.kind:
        raise DataError(f"{what} must be {y.dtype} as the training samples, not {x.dtype}")


def noun(shape: Sequence[int]) -> str:
    """Return what one sample of `shape` is called: an image has height and width."""
    return "image" if len(shape) > 1 else "sample"


def _with_channels(array: Array, data: Data) -> Array:
    """Return grey images (images, height, width) with an axis of one channel; all else as it is."""
    return array[..., np.newaxis] if array.ndim == 3 and array.dtype == np.uint8 and not data.shape else array


def _labelled(
    parts: Mapping[str, Samples], contents: Contents, *, chosen: bool
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the labels of each part as 0, 1, ... and their names. Raises: DataError if they are no such labels.

    Words are numbered by order; so are any whole numbers if the classes were `chosen` by name.
    """
    where, words = contents.where, contents.names
    labels = {name: _labels(samples, f"{where}: y_{name}") for name, samples in parts.items()}
    if labels["train"].dtype.kind in "US" or (chosen and not words):
        known = np.unique(labels["train"])
        words = tuple(map(str, known))
        labels = {name: _numbered(found, known, f"{where}: {name} labels") for name, found in labels.items()}
    tests = [found for name, found in labels.items() if name != "train"] or [labels["train"]]
    classes = _count_classes(labels["train"], np.concatenate(tests), where)
    if words and len(words) != classes:
        raise DataError(f"{where}: labels must be of the {len(words)} classes {', '.join(words)}, not of {classes}")
    return labels, words or tuple(map(str, range(classes)))


def _labels(samples: Samples, what: str) -> Array:
    """Return the labels of samples, one each, whole numbers or words."""
    y, count = samples.labels, len(samples.values)
    wanted = f"{what} must have one label for each of the {count} {noun(samples.values.shape[1:])}s"
    if y is None:
        raise DataError(
            f"{what.rpartition(': ')[0]} must have a label for each sample; say with data.label which column, array or "
            "file holds the labels"
        )
    if y.shape[:1] == (count,) and is_one_hot(y):
        y = y.argmax(axis=1)
    if y.dtype.kind in "bf" and np.array_equal(y, np.rint(y)):
        y = y.astype(np.int64)
    if not np.issubdtype(y.dtype, np.integer) and y.dtype.kind not in "US":
        raise DataError(f"{what} must be whole numbers, not {y.dtype}")
    if y.shape not in ((count,), (count, 1)):
        raise DataError(f"{wanted}, not shape {y.shape}")
    return y.reshape(-1)


def is_one_hot(labels: Array) -> bool:
    """Return whether each row of `labels` is zeros and a single one."""
    return (
        labels.ndim == 2 and labels.shape[1] > 1 and bool(np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all())
    )


def _numbered(labels: Array, known: Array, what: str) -> NDArray[np.int64]:
    """Return labels as their place among the sorted `known`. Raises: DataError for one that is none of them."""
    if labels.dtype.kind != known.dtype.kind and known.dtype.kind in "US":
        labels = labels.astype(str)
    strange = np.setdiff1d(labels, known)
    if strange.size:
        shown = ", ".join(map(str, known))
        raise DataError(f"{what} must be among the training labels {shown}; {str(strange[0])!r} is not")
    return np.searchsorted(known, labels).astype(np.int64)


def _held_out(labels: Array, classes: int, data: Data, where: str) -> NDArray[np.bool_]:
    """Return which samples test: of each class a share of `data.test_fraction`, after a shuffle by `data.seed`."""
    rng = np.random.default_rng(data.seed)
    test = np.zeros(len(labels), bool)
    for label in range(classes):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = max(1, round(len(rows) * data.test_fraction))
        if count >= len(rows):
            raise DataError(f"{where}: class {label} must have samples to train and to test, but has {len(rows)}")
        test[rows[:count]] = True
    return test


def _count_classes(train: Array, test: Array, where: str) -> int:
    """Return how many classes there are. Raises: DataError unless the labels are 0, 1, ... without a gap."""
    present = np.unique(train)
    if present[0] != 0:
        raise DataError(f"{where}: labels must start at 0, not {present[0]}; {NUMBERED}")
    beyond = np.flatnonzero(present != np.arange(len(present)))
    if beyond.size:
        raise DataError(
            f"{where}: labels must be 0 to {present[-1]} without gaps, but no training image has label {beyond[0]}; "
            f"{NUMBERED}"
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
    encoding = given_codes(tuple(codes.shape[1:]), kind)
    return Dataset(codes[:0], labels[:0], codes, labels, input_type=kind, names=names, encoding=encoding)
