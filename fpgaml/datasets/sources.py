"""The one way to samples and labels: whatever a card or a command names as data."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Data
from fpgaml.datasets.dataset import NAMED, Dataset, load
from fpgaml.errors import DataError


def load_data(card: RunCard) -> Dataset:
    """Return the samples and labels that a card names. Raises: DataError."""
    must_be_there(card)
    data = load_source(card.data.source, card.folder, card.data)
    return data.subset(card.data.classes) if card.data.classes else data


def with_data(card: RunCard, given: Mapping[str, str]) -> RunCard:
    """Return `card` with keys of its [data] as a command's options say; their files lie in the working directory.

    Raises: ConfigError as `changed`.
    """
    if not given:
        return card
    files = {key: given[key] for key in ("source", "test") if given.get(key, "mnist") not in NAMED}
    return changed(card, {"data": dict(given) | {key: str(Path(name).resolve()) for key, name in files.items()}})


def must_be_there(card: RunCard) -> None:
    """Raise DataError if the files that a run's card names were not found."""
    missing = [name for name in card.data.files if name not in NAMED and not (card.folder / name).exists()]
    if missing and card.sought:
        raise DataError(
            f"run {card.name!r} needs its data, and {missing[0]} is not in {' or '.join(map(str, card.sought))}: put "
            "it there, or name it with --data"
        )


def shape_of(card: RunCard) -> tuple[int, ...] | None:
    """Return the shape of one image of a card's data without reading the images; None if only reading them tells.

    Nothing is checked: what `load_data` refuses may have a shape here.
    """
    if card.data.shape or card.data.source in NAMED:
        return card.data.shape or NAMED[card.data.source]
    path = card.folder / card.data.source
    return _npz_shape(path) if path.suffix == ".npz" and path.is_file() else None


def _npz_shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of one image by the header of the training images, or of codes; None if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            name = next(name for name in ("codes.npy", "x_train.npy") if name in file.namelist())
            with file.open(name) as array:
                version = np.lib.format.read_magic(array)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, kind = read(array)
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile):
        return None
    grey = name == "x_train.npy" and len(shape) == 3 and kind == np.uint8
    return (*shape[1:], 1) if grey else shape[1:]


def load_source(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the samples of `source`: a set that Keras downloads once, or whatever `dataset.load` takes.

    Raises: DataError if it cannot be had, or does not fit.
    """
    if source in NAMED and source != "mnist":
        from fpgaml.datasets.download import download

        return download(source)
    return load(source, folder, data)
