"""The one way to images and labels: whatever a card or a command names as data."""

from __future__ import annotations

from pathlib import Path

from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Data
from fpgaml.datasets.dataset import Dataset, load


def load_data(card: RunCard) -> Dataset:
    """Return the images and labels that a card names. Raises: DataError."""
    data = load_source(card.data.source, card.folder, card.data)
    return data.subset(card.data.classes) if card.data.classes else data


def load_source(source: str, folder: Path = Path(), data: Data | None = None) -> Dataset:
    """Return the images of `source`: "fashion_mnist", which Keras downloads once, or whatever `dataset.load` takes.

    Raises: DataError if it cannot be had, or does not fit.
    """
    if source == "fashion_mnist":
        from fpgaml.datasets.download import fashion_mnist

        return fashion_mnist()
    return load(source, folder, data)
