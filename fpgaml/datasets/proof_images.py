"""Samples to hold executions of a model against each other with, as codes of the type that its input has.

    load_images(Path("images.npz"), (28, 28, 1), PIXEL, 500)     a file's test samples, with their labels
    load_images("mnist", (784,), PIXEL, 500)                     a set with a name
    load_images(None, (784,), PIXEL, 500)                        MNIST's test images if they fit, else random codes

Unlike a Dataset nothing is fitted or divided here: the model says what its input is, and the samples must be that.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fpgaml.datasets.dataset import NAMED, Dataset, is_one_hot
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.files import Samples, is_number, read
from fpgaml.datasets.inputs import nearest_of, on_grid, stated
from fpgaml.datasets.inputs import pixels as pixels_as_they_are
from fpgaml.datasets.raw import RawRows
from fpgaml.datasets.scaled import scaled_codes
from fpgaml.datasets.sources import load_source
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import PIXEL, Array, Codes, FixedPoint, grid, smallest

IMAGES = 500  # that a model is run on where nobody says how many
MNIST_CLASSES = 10
PROPOSED_BITS = range(8, 17)


@dataclass(frozen=True)
class Images:
    """Input codes (images, *shape), labels if there are any, and where they come from.

    `encoding` made the codes of the `raw` rows; without these, the codes were given as such. `names` are those of the
    labels 0, 1, ... if they were words.
    """

    codes: Codes
    labels: Codes | None
    data: str
    raw: Array | None = None
    encoding: Encoding | None = None
    names: tuple[str, ...] = ()


def load_images(
    source: Path | str | None,
    shape: tuple[int, ...],
    kind: FixedPoint,
    count: int,
    scale: str | None = None,
    label: str | None = None,
    learned: RawRows | None = None,
    *,
    classes: int = 10,
    stated: bool = False,
) -> Images:
    """Return at most `count` images as codes of `kind`: of a file or set, else MNIST's if they fit, else random codes.

    With a `scale` such as "1/255" the images are raw integers that the model reads times the scale; the codes are the
    nearest of `kind`. Real numbers are rounded to a type that was `stated`, and to any but that of pixels, which
    `Images.data` says. MNIST fits a model of its shape and `classes`. `label` names the column, array or file of the
    labels. Where a run kept how its training encoded raw rows and numbered classes, `learned` says, and a file's raw
    rows become codes in the same way.

    Raises: DataError if the file's shape or values do not fit the input.
    """
    if source is not None and str(source) not in NAMED:
        if learned is not None and not scale:
            return _as_learned(Path(source), count, label, learned)
        return _from_file(Path(source), shape, kind, count, scale, label, stated)
    fits = shape in ((28, 28, 1), (28, 28), (784,)) and classes == MNIST_CLASSES and (kind == PIXEL or bool(scale))
    if source is not None or fits:
        found = load_source(str(source or "mnist"))
        pixels = found.x_test[:count]
        _check_shape(str(source), pixels, shape)
        raw = pixels.reshape(-1, *shape)
        codes = scaled_codes(raw, scale, nearest_of(kind)) if scale else raw.astype(np.int64)
        title = "MNIST test images" if source in (None, "mnist") else f"{source} test images"
        how = _encoding(raw, shape, kind, scale)
        return Images(codes, found.y_test[:count].astype(np.int64), title, raw, how, found.names)
    rng = np.random.default_rng(0)
    return Images(rng.integers(kind.low, kind.high + 1, (count, *shape)), None, "random codes (seed 0)")


def tests_alone(images: Images, kind: FixedPoint) -> Dataset:
    """Return the images as a Dataset that has nothing to learn from."""
    labels = np.zeros(0, np.int64) if images.labels is None else images.labels
    names = images.names or (tuple(map(str, range(int(labels.max()) + 1))) if labels.size else ())
    return Dataset(images.codes[:0], labels[:0], images.codes, labels, input_type=kind, names=names)


def _check_shape(where: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.ndim < 1 or int(np.prod(array.shape[1:])) != int(np.prod(shape)) or not len(array):
        wanted = ", ".join(map(str, shape))
        raise DataError(f"images in {where} must have shape (images, {wanted}) as the model's input, not {array.shape}")


def _from_file(
    path: Path,
    shape: tuple[int, ...],
    kind: FixedPoint,
    count: int,
    scale: str | None,
    label: str | None,
    stated: bool,
) -> Images:
    contents = read(path, label)
    samples = contents.tested
    _check_shape(str(path), samples.values, shape)
    labels, names = _labels(samples, path, count)
    array = samples.values[:count].reshape(-1, *shape)
    if scale:
        codes, how = scaled_codes(array, scale, nearest_of(kind)), _encoding(array, shape, kind, scale)
        return Images(codes, labels, f"{path.name} times {scale}", array, how, names)
    if "type" in contents.extra and (own := FixedPoint.parse(str(contents.extra["type"]))) != kind:
        raise DataError(f"images in {path} are codes of {own}, and the model takes codes of {kind}")
    if np.issubdtype(array.dtype, np.integer):
        if not kind.holds(array):
            raise DataError(
                f"images in {path} are integers from {array.min()} to {array.max()}, which are no codes of {kind}, "
                f"{kind.low} to {kind.high}; state their type with --input-type"
            )
        how = _encoding(array, shape, kind)
        return Images(array.astype(np.int64), labels, str(path.name), array, how, names)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"images in {path} must be numbers, not {array.dtype}")
    codes, off = _rounded(array, path, kind, stated)
    said = f"; {off:,} of {array.size:,} values rounded to the grid of {kind}" if off else ""
    return Images(codes, labels, f"{path.name}{said}", array, _encoding(array, shape, kind), names)


def _as_learned(path: Path, count: int, label: str | None, learned: RawRows) -> Images:
    """Return a file's samples as codes, and its labels as numbers, as a run's training had them."""
    encoding = learned.encoding
    contents = read(path, label, encoding.names)
    rows, labels = contents.tested.values[:count], contents.tested.labels
    if "type" in contents.extra:  # codes that fpgaml wrote
        return Images(rows, labels, str(path.name), names=learned.classes)
    table = dict(zip(contents.features, rows.T, strict=True)) if contents.features and encoding.names else rows
    try:
        codes = encoding.codes(table)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    numbers = None if labels is None else _numbered(labels.reshape(-1)[:count], learned.classes, path)
    return Images(codes, numbers, str(path.name), rows, encoding, learned.classes)


def _numbered(labels: Array, classes: tuple[str, ...], path: Path) -> Codes:
    """Return labels by name as their place among `classes`, or numbers as they are. Raises: DataError."""
    names = labels.astype(str)
    if set(names) <= set(classes):
        return np.array([classes.index(name) for name in names], np.int64)
    numbers = set(map(str, range(len(classes)))) if not any(map(is_number, classes)) else set()
    if labels.dtype.kind in "iu" and set(names) <= numbers:
        return labels.astype(np.int64)
    strange = sorted(set(names) - set(classes))[0]
    raise DataError(f"labels in {path} must be among the classes of the run, {', '.join(classes)}; {strange!r} is not")


def _encoding(values: Array, shape: tuple[int, ...], kind: FixedPoint, scale: str | None = None) -> Encoding | None:
    """Return how raw `values` become codes of `kind`; None where no board could do the same."""
    if values.dtype == np.uint8 and kind == PIXEL and not scale:
        return pixels_as_they_are(shape)
    with suppress(ConfigError):
        return stated(values, shape, nearest_of(kind), scale or "")
    return None


def real_numbers(path: Path, label: str | None) -> Array | None:
    """Return the samples of a file if they are real numbers that are on the grid of no pixels; else None."""
    values = read(path, label).tested.values
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all() or not values.size:
        return None
    return None if (nearest_of(PIXEL).encode(values) == np.ldexp(values.astype(np.float64), 8)).all() else values


def types_for(values: Array) -> tuple[FixedPoint, ...]:
    """Return types that hold the range of real numbers, of more and more bits; the exact one alone if it is narrow."""
    with suppress(DataError):
        codes, fraction = grid(values)
        exact = smallest(int(codes.min()), int(codes.max()), fraction)
        if exact.width <= PROPOSED_BITS[-1]:
            return (exact,)
    signed = bool(values.min() < 0)
    top = float(np.abs(values).max())
    integer = int(np.frexp(top)[1]) + signed
    return tuple(_holding(values, bits, integer, signed) for bits in PROPOSED_BITS)


def _holding(values: Array, bits: int, integer: int, signed: bool) -> FixedPoint:
    """Return the type of so many bits, with one more in front of the point where the largest value rounds beyond it."""
    kind = FixedPoint(bits, integer, signed)
    ends = np.array([values.min(), values.max()], np.float64)
    held = np.abs(np.rint(np.ldexp(ends, kind.fraction)) - nearest_of(kind).encode(ends)).max() == 0
    return kind if held else FixedPoint(bits, integer + 1, signed)


def _rounded(array: Array, path: Path, kind: FixedPoint, stated: bool) -> tuple[Codes, int]:
    """Return real numbers as the nearest codes, and how many were not on the grid. Raises: DataError."""
    exact = np.ldexp(array.astype(np.float64), kind.fraction)
    codes = nearest_of(kind).encode(array)
    wrong = codes != exact
    beyond = np.abs(codes - exact) > 0.5
    free = stated or kind != PIXEL
    if not (beyond if free else wrong).any():
        return codes, int(wrong.sum())
    if free:
        raise DataError(
            f"images in {path} have values from {array.min():g} to {array.max():g}, which leave the range of {kind}, "
            f"{kind.decode(kind.low):g} to {kind.decode(kind.high):g}; state a wider --input-type"
        )
    pixels = on_grid(array * 255)
    raise DataError(
        f"images in {path}: {int(wrong.sum()):,} of {wrong.size:,} values are not on the grid of {kind}, multiples "
        f"of {kind.step:g} from {kind.decode(kind.low):g} to {kind.decode(kind.high):g}; the first is "
        f"{float(array[wrong][0])!r}. "
        + (
            "A pixel divided by 255 is on no grid: divide by 256, or state --input-type"
            if pixels
            else "Give values as the model reads them, and state their grid with --input-type"
        )
    )


def _labels(samples: Samples, path: Path, count: int) -> tuple[Codes | None, tuple[str, ...]]:
    """Return whole numbers from labels of any kind, and the words that they were by order. Raises: DataError."""
    labels = samples.labels
    if labels is None:
        return None, ()
    total = len(samples.values)
    wanted = f"labels in {path} must be one whole number for each of its {total} images"
    if labels.shape[:1] == (total,) and is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.dtype.kind in "US":
        words, numbers = np.unique(labels, return_inverse=True)
        return numbers[:count].astype(np.int64), tuple(map(str, words))
    whole = np.issubdtype(labels.dtype, np.number) and np.array_equal(labels, np.rint(labels))
    if labels.shape not in ((total,), (total, 1)) or not whole:
        raise DataError(f"{wanted}, not {labels.dtype} of shape {labels.shape}")
    return labels.reshape(-1)[:count].astype(np.int64), ()
