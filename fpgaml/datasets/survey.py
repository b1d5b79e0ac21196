"""What data are, before they are learned from: each column or value of a sample, what is missing, how many of a class.

columns(Path("pulses.csv"))      of a table, as it is written: numbers or words, least and largest, what is missing
survey(card)                     of a card's data: the same, and what becomes of them (shape, classes, split, codes)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Data
from fpgaml.datasets.dataset import NAMED, Dataset
from fpgaml.datasets.encoding import Encoding
from fpgaml.datasets.files import is_number, read, table_rows
from fpgaml.datasets.sources import load_data, must_be_there
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import Array

MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")  # cells of a table without a value, in any case of letters
TABLES = (".csv", ".tsv")
SHOWN_VALUES = 32  # of a sample, that are described one by one
FIRST = 5  # samples that are shown


@dataclass(frozen=True)
class Column:
    """A column of a table, or a value of a sample: of how many it is missing, and what its numbers are.

    low, high, mean and deviation are None where there are words. `counts` says that it numbers the rows.
    """

    name: str
    missing: int
    distinct: int
    words: bool = False
    counts: bool = False
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Survey:
    """The data of a card; all but `source` and `columns` are empty if `problem` says why they cannot be learned from.

    classes: name, training and test samples of each. first: label and raw values of the first test samples.
    """

    source: str
    columns: tuple[Column, ...]
    problem: str = ""
    noun: str = "sample"
    shape: tuple[int, ...] = ()
    classes: tuple[tuple[str, int, int], ...] = ()
    split: str = ""
    preprocessing: str = ""
    input_type: str = ""
    features: tuple[str, ...] = ()
    first: tuple[tuple[str, Array], ...] = ()

    @property
    def missing(self) -> int:
        """How many values are missing."""
        return sum(column.missing for column in self.columns)


def is_table(path: Path) -> bool:
    """Return whether a file is a table by its name."""
    return Path(path.name.removesuffix(".gz")).suffix.lower() in TABLES


def columns(path: Path) -> tuple[Column, ...]:
    """Return the columns of a table, whatever is in them. Raises: DataError without a row of names."""
    names, rows = table_rows(path)
    cells = [[row[at].strip() if at < len(row) else "" for row in rows] for at in range(len(names))]
    return tuple(_written(name, column) for name, column in zip(names, cells, strict=True))


def _written(name: str, cells: Sequence[str]) -> Column:
    given = [cell for cell in cells if cell.casefold() not in MISSING]
    missing, distinct = len(cells) - len(given), len(set(given))
    if not given or not all(map(is_number, given)):
        return Column(name, missing, distinct, words=bool(given))
    return _numbers(name, np.array(given, np.float64), missing, distinct)


def _numbers(name: str, values: Array, missing: int, distinct: int) -> Column:
    """Return the column of numbers; those that are not finite are missing."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return Column(name, missing + values.size, distinct)
    counts = finite.size > 2 and missing == 0 and bool((np.diff(finite) == 1).all())
    figures = (float(finite.min()), float(finite.max()), float(finite.mean()), float(finite.std()))
    return Column(name, missing + values.size - finite.size, distinct, False, counts, *figures)


def of_array(values: Array, names: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return the values of a sample one by one if they are few, else all as one. Values: (samples, *shape)."""
    flat = values.reshape(len(values), -1)
    if flat.shape[1] > SHOWN_VALUES:
        return (_numbers("all values", flat.ravel(), 0, int(np.unique(flat).size)),)
    names = names or [f"value {n}" for n in range(flat.shape[1])]
    return tuple(_numbers(name, flat[:, n], 0, int(np.unique(flat[:, n]).size)) for n, name in enumerate(names))


def survey(card: RunCard) -> Survey:
    """Return what the data of a card are. Raises: DataError if the file is not there, or damaged."""
    must_be_there(card)
    own, path = card.data, card.folder / card.data.source
    named = own.source in NAMED
    data: Dataset | None = None
    try:
        data, problem = load_data(card), ""
    except (ConfigError, DataError) as error:
        if named or not path.exists():
            raise
        problem = str(error)
    found, divided = ((), True) if named else (columns(path), False) if is_table(path) else _of_file(path)
    if data is None:
        return Survey(own.source, found, problem)
    labels = (data.y_train, data.y_test)
    counts = np.array([np.bincount(part.astype(np.int64), minlength=data.classes) for part in labels])
    rows = data.raw(FIRST)
    return Survey(
        own.source,
        found or of_array(data.x_train),
        "",
        data.noun,
        data.shape,
        tuple((name, int(counts[0, n]), int(counts[1, n])) for n, name in enumerate(data.names)),
        _split(card, data, divided=divided),
        preprocessing(data.encoding, own) if data.encoding else "codes as they are",
        str(data.input_type),
        data.encoding.names if data.encoding else (),
        tuple((data.names[label], row) for label, row in zip(rows.labels, rows.rows, strict=True)),
    )


def _of_file(path: Path) -> tuple[tuple[Column, ...], bool]:
    """Return the values of a file that is no table, of the samples to learn from, and whether it has others to test."""
    contents = read(path, None)
    values = (contents.train or contents.tested).values
    return of_array(values) if values.dtype.kind in "biuf" else (), contents.test is not None


def _split(card: RunCard, data: Dataset, *, divided: bool) -> str:
    own, (train, test) = card.data, (len(data.x_train), len(data.x_test))
    if not train:
        return f"{test:,} to test, none to learn from"
    held = data.validation or math.floor(train * card.training.validation_split)
    chosen = f"of {own.validation}" if data.validation else f"training.validation_split = {held / train:.3g}"
    share = "the source's own" if divided else f"data.test_fraction = {own.test_fraction:g} of each class"
    tests = f"of {own.test}" if own.test else share
    return f"{train - held:,} to train, {held:,} to choose the best epoch ({chosen}), {test:,} to test ({tests})"


HOW: Mapping[str, str] = {
    "codes": "integers are codes as they come",
    "pixels": "a pixel is uint8 / 256, its own code",
    "none": "values as they are, exactly (data.normalize = 'none')",
    "feature": "each value from its least to its largest in the training samples (data.normalize = 'feature')",
    "standard": "each value by its mean and standard deviation in the training samples, 4 deviations either way",
    "sample": "each sample from its own least value to its largest (data.normalize = 'sample')",
}


def preprocessing(encoding: Encoding, data: Data) -> str:
    """Return how raw values become codes, in a sentence."""
    if encoding.kind == "pixels" and data.input_scale:
        return f"pixels times {data.input_scale}, rounded to the grid of data.input_type"
    if encoding.kind == "scaled":
        times = f"integers times {data.input_scale}, " if data.input_scale else "values "
        return f"{times}rounded to the grid of data.input_type"
    return HOW[encoding.kind]
