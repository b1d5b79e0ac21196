"""The one way to samples and labels: whatever a card or a command names as data."""

from __future__ import annotations

from pathlib import Path

from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Data
from fpgaml.datasets.dataset import NAMED, Dataset, load
from fpgaml.errors import DataError


def load_data(card: RunCard) -> Dataset:
    """Return the samples and labels that a card names. Raises: DataError."""
    _must_be_there(card)
    data = load_source(card.data.source, card.folder, card.data)
    return data.subset(card.data.classes) if card.data.classes else data


def _must_be_there(card: RunCard) -> None:
    """Raise DataError if the files that a run's card names were not found."""
    missing = [name for name in card.data.files if name not in NAMED and not (card.folder / name).exists()]
    if missing and card.sought:
        raise DataError(
            f"run {card.name!r} needs its data, and {missing[0]} is not in {' or '.join(map(str, card.sought))}: put "
            "it there, or name it with --data"
        )


def load_source(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the samples of `source`: a set that Keras downloads once, or whatever `dataset.load` takes.

    Raises: DataError if it cannot be had, or does not fit.
    """
    if source in NAMED and source != "mnist":
        from fpgaml.datasets.download import download

        return download(source)
    return load(source, folder, data)
